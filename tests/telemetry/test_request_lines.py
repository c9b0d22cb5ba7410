"""At level debug, a line for each request: what was asked, what came and when; nothing personal."""

from sandbox import Fault
from support.daemon import Daemon, watched


def test_each_request_is_a_line_of_its_cycle(installation, opened):
    """As many as either end saw, those of the helping threads too, in the cycle and without a query."""
    for n in range(20):
        opened(60 + n)
    installation.sandbox.gladly.latency_s = 0.02  # slow enough for the look-ups to take threads to help
    named = Fault(headers={"X-Request-Id": "request-4711"}, times=None)
    installation.sandbox.faults.add("segment", "*", named)
    with Daemon(watched(installation, LOG__LEVEL="debug", SYNC__EVERY="1h")) as daemon:
        cycle = daemon.wait_for("cycle.finished")["cycle"]
        lines = daemon.lines("request")
    for end in ("gladly", "segment"):
        seen = [(r.method, r.path, str(r.status)) for r in getattr(installation.sandbox, f"{end}_requests")]
        shown = [(line["method"], line["path"], line["status"]) for line in lines if line["end"] == end]
        assert sorted(shown) == sorted(seen)
        assert len(shown) >= 1
    assert {line["cycle"] for line in lines} == {cycle}
    assert {line["level"] for line in lines} == {"debug"}
    assert all(0 < line["milliseconds"] < 60_000 for line in lines)
    assert max(line["milliseconds"] for line in lines if line["end"] == "gladly") >= 20
    assert {line["request_id"] for line in lines if line["end"] == "segment"} == {"request-4711"}
    assert {line["request_id"] for line in lines if line["end"] == "gladly"} == {None}
    log = daemon.log_path.read_text()
    assert "?" not in "".join(line["path"] for line in lines)
    assert not [found for found in ("zoe", "Zoë", "example.com", "startAt") if found in log]


def test_none_at_level_info(installation, opened):
    """A line a cycle is enough for every day."""
    opened()
    assert '"event": "request"' not in installation.run("once").stderr


def test_a_request_without_an_answer_is_a_line_too(installation):
    """Its status says so."""
    installation.settings |= {
        "GLADLY_SEGMENT_GLADLY__BASE_URL": "http://127.0.0.1:1",
        "GLADLY_SEGMENT_LOG__LEVEL": "debug",
    }
    assert '"status": "none"' in installation.run("once").stderr
