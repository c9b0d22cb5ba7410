"""What must never come out, never be believed and never be kept (faults G)."""

import base64
import contextlib
import json
import re
import sqlite3
import stat
import time
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from sandbox import Fault, Sandbox
from support.checker import problems
from support.installation import Installation
from support.processes import FAILPOINT, errors_of, running, stderr_of
from support.raw_server import RawServer
from support.recovery import assert_nothing_lost, run_until_delivered
from support.state_file import rows
from support.waiting import wait_until
from support.worlds import history, people_writing_in

pytestmark = pytest.mark.long


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A world whose time goes on as ours does: what runs here are processes."""
    with Sandbox(lateness_s=0, requests_per_second=None) as running_world:
        yield running_world


ROOT = Path(__file__).parents[2]

TOKEN = "cAnArY/t0ken+4=Gladly&secret"
WRITE_KEY = "cAnArY/wr1te+key=Segment&secret"


def _forms(secret: str, user: str) -> set[bytes]:
    """A secret as it may be met: plain, in JSON, URL-encoded, and in Base64 however it is aligned."""
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    whole = {
        base64.b64encode(text.encode()).rstrip(b"=")
        for text in (secret, f"{user}:{secret}", f"{secret}:", f":{secret}")
    }
    # The part of the secret's Base64 that does not depend on what surrounds it.
    core = {base64.b64encode(b"\0" * pad + secret.encode())[4:-4] for pad in range(3)}
    return {text.encode() for text in plain} | whole | core


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Installation]:
    """An installation whose secrets are canaries."""
    with Sandbox(lateness_s=0, requests_per_second=None, api_token=TOKEN, write_key=WRITE_KEY) as sandbox:
        yield Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "10m", "GLADLY_SEGMENT_LOG__LEVEL": "debug"}
        )


def _assert_no_canary(installation: Installation, *said: str) -> None:
    """Neither in what was said nor in any file of the installation, byte for byte."""
    everything = {f"output {n}": text.encode() for n, text in enumerate(said)}
    everything |= {
        file.name: file.read_bytes() for file in installation.directory.rglob("*") if file.is_file()
    }
    forms = _forms(TOKEN, installation.sandbox.gladly.username) | _forms(WRITE_KEY, "")
    found = [(name, form) for name, content in everything.items() for form in forms if form in content]
    assert found == []


def _run_all(installation: Installation, *commands: tuple[str, ...]) -> list[str]:
    said = []
    for command in commands:
        done = installation.run(*command)
        said += [done.stdout, done.stderr]
    return said


# Row G1, secrets


@pytest.mark.parametrize("layer", ["gladly.request", "gladly.answer", "take_in.events", "segment.request"])
def test_g1_no_traceback_of_a_cycle_shows_a_secret(guarded, layer):
    """With --debug and an error raised in each layer: names and lines, no values."""
    history(guarded.sandbox)
    guarded.settings[FAILPOINT] = f"{layer}:1:raise"
    said = guarded.run("--debug", "once").stderr
    assert "Traceback" in said
    _assert_no_canary(guarded, said)


@pytest.mark.parametrize("shape", ["console", "json"])
def test_g1_no_traceback_in_a_daemons_log_shows_a_secret(guarded, shape):
    """The log's own tracebacks, in both formats, hold no locals."""
    history(guarded.sandbox)
    guarded.settings |= {
        FAILPOINT: "segment.request:1:raise",
        "GLADLY_SEGMENT_LOG__FORMAT": shape,
        "GLADLY_SEGMENT_SYNC__EVERY": "0.2s",
    }
    with running(guarded, "--debug", "run") as process:
        wait_until(lambda: "cycle.finished" in stderr_of(guarded))
        process.terminate()
        assert process.wait(10) == 0
    assert "FailpointError" in stderr_of(guarded)
    _assert_no_canary(guarded, stderr_of(guarded))
    assert "Traceback" in stderr_of(guarded)  # what --debug is for


FAULTS = {
    "refused": Fault(status=401, times=None),
    "an error with a body": Fault(
        status=400, body=b'{"errors":[{"attr":"x","code":"y","detail":"z"}]}', times=None
    ),
    "a redirect": Fault(status=302, headers={"Location": "https://example.com/"}, times=None),
    "too many": Fault(status=429, headers={"Retry-After": "600"}, times=None),
    "a page": Fault(status=200, body=b"<html>", content_type="text/html", times=None),
}


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_g1_no_error_shows_a_secret(guarded, side):
    """Whatever an end answers: not in logs, errors, the state file or what the commands show of it."""
    said = []
    for number, fault in enumerate(FAULTS.values()):
        people_writing_in(guarded.sandbox, 1, seconds_ago=50 - number)
        guarded.sandbox.faults.add(side, "*", fault)
        done = guarded.run("--debug", "once")
        said += [done.stdout, done.stderr]
        guarded.sandbox.faults.clear()
    said += _run_all(guarded, ("status",), ("events", "--json"))
    _assert_no_canary(guarded, *said)
    assert {event["status"] for event in guarded.events()} <= {"pending", "delivered", "rejected"}


def test_g1_no_end_that_cannot_be_reached_makes_it_show_a_secret(guarded):
    """Refused, unresolvable, and with a certificate nobody knows: the host is named and no more."""
    history(guarded.sandbox)
    urls = ("http://127.0.0.1:9", "https://nowhere.invalid", guarded.sandbox.gladly_url.replace("p:", "ps:"))
    with contextlib.ExitStack() as stack:
        processes = []
        for url in urls:  # at the same time: each waits between its attempts
            guarded.settings["GLADLY_SEGMENT_GLADLY__BASE_URL"] = url
            processes.append(stack.enter_context(guarded.start("--debug", "check")))
        said = [text for process in processes for text in process.communicate(timeout=30)]
    assert [process.returncode for process in processes] == [1, 1, 1]
    assert all("Gladly could not be reached at" in " ".join(text.split()) for text in said[::2])
    _assert_no_canary(guarded, *said)


def test_g1_no_kept_line_or_row_shows_a_secret(guarded):
    """Lines in quarantine, rejected events and a log left behind by a kill hold none."""
    history(guarded.sandbox)
    guarded.sandbox.faults.rewrite_feed(lambda lines: [b"{broken\n", *lines, b'{"id":"x"}\n'])
    guarded.sandbox.faults.reject_message(lambda event: event["event"].endswith("Closed"))
    guarded.settings[FAILPOINT] = "cycle.end"
    killed = guarded.run("--debug", "once")
    assert list(guarded.directory.glob("*-wal"))
    del guarded.settings[FAILPOINT]
    said = _run_all(guarded, ("status",), ("events", "--json"), ("once", "--dry-run"))
    _assert_no_canary(guarded, killed.stderr, killed.stdout, *said)


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_g1_a_secret_that_an_answer_repeats_is_not_passed_on(guarded, side):
    """A gateway's error page may quote the request's headers: what of ours is in it is not written down."""
    history(guarded.sandbox)
    user = f"{guarded.sandbox.gladly.username}:{TOKEN}" if side == "gladly" else f"{WRITE_KEY}:"
    secret = TOKEN if side == "gladly" else WRITE_KEY
    quoted = f"bad request; Authorization: Basic {base64.b64encode(user.encode()).decode()} ({secret})"
    body = json.dumps({"errors": [{"attr": "x", "code": "y", "detail": quoted}]}).encode()
    guarded.sandbox.faults.add(side, "*", Fault(status=400, body=body, times=None))
    done = guarded.run("--debug", "once")
    said = _run_all(guarded, ("status",), ("events", "--json"))
    _assert_no_canary(guarded, done.stderr, done.stdout, *said)


# Row G2, where secrets may stand


def test_g2_no_secret_is_among_the_arguments(guarded):
    """`ps` shows a command and perhaps a path; the command line knows no option that takes a secret."""
    with running(guarded, "run") as process:
        wait_until(lambda: "cycle.finished" in stderr_of(guarded))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pids = [str(process.pid), *(children.read_text().split() if children.exists() else [])]
        shown = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)
        process.terminate()
        assert process.wait(10) == 0
    assert b"cAnArY" not in shown
    for option in ("--api-token", "--token", "--write-key", "--password"):
        for command in ((option, "x", "once"), ("once", option, "x")):
            assert guarded.run(*command).returncode == 2
    _assert_no_canary(guarded)


def test_g2_a_secret_in_the_settings_file_is_refused(guarded):
    """Exit 2 and where it belongs, without repeating it; nothing has been called."""
    (guarded.directory / "config.toml").write_text(
        f"[gladly]\napi_token = {json.dumps(TOKEN)}\n[segment]\nwrite_key = {json.dumps(WRITE_KEY)}\n"
    )
    for command in ("once", "check", "run"):
        done = guarded.run(command)
        assert done.returncode == 2
        said = done.stdout + done.stderr
        assert "gladly.api_token does not belong in this file" in said
        assert "GLADLY_API_TOKEN" in said
        assert "SEGMENT_WRITE_KEY" in said
        assert "cAnArY" not in said
    assert guarded.sandbox.gladly_requests == []


def test_g2_a_secret_file_that_others_can_read_is_warned_of(guarded):
    """`check` names the file and the mode to give it; a file for its owner alone is no matter."""
    environment = {"GLADLY_API_TOKEN": "", "SEGMENT_WRITE_KEY": ""}
    for name, secret in (("token", TOKEN), ("key", WRITE_KEY)):
        (guarded.directory / name).write_text(secret + "\n")
        (guarded.directory / name).chmod(0o600)
    guarded.settings |= environment | {
        "GLADLY_SEGMENT_GLADLY__API_TOKEN_FILE": "token",
        "GLADLY_SEGMENT_SEGMENT__WRITE_KEY_FILE": "key",
    }
    quiet = guarded.run("check")
    assert quiet.returncode == 0, quiet.stdout
    assert "0600" not in quiet.stdout + quiet.stderr
    (guarded.directory / "token").chmod(0o644)
    loud = guarded.run("check")
    said = loud.stdout + loud.stderr
    assert "cAnArY" not in said
    assert "token" in said
    assert re.search(r"chmod|0?600|readable by", said), said


# Row G3, whom it talks to


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://api.example.com", "must begin with https://"),
        ("http://127.0.0.1.example.com", "must begin with https://"),
        ("http://localhost.example.com:8410", "must begin with https://"),
        ("https://someone:pAsSw0rd@api.example.com", "must not hold a user name or password"),
        ("https://pAsSw0rd@api.example.com", "must not hold a user name or password"),
        ("http://127.0.0.1:pAsSw0rd@api.example.com", "must"),
        ("ftp://api.example.com", "must be a URL like"),
        ("file:///etc/passwd", "must be a URL like"),
        ("//api.example.com", "must be a URL like"),
        ("https://api.example.com/?to=https://example.org", "must be a URL like"),
    ],
)
def test_g3_an_address_that_would_give_secrets_away_is_refused(guarded, url, sentence):
    """At either end: exit 2 before any call, the setting named, a password in it not repeated."""
    guarded.settings |= {"GLADLY_SEGMENT_GLADLY__BASE_URL": url, "GLADLY_SEGMENT_SEGMENT__BASE_URL": url}
    done = guarded.run("once")
    assert done.returncode == 2
    for setting in ("gladly.base_url", "segment.base_url"):
        assert any(line.startswith(f"error: {setting}: {sentence}") for line in done.stderr.splitlines())
    assert "pAsSw0rd" not in done.stderr
    assert guarded.sandbox.gladly_requests == []
    assert guarded.sandbox.segment_requests == []
    assert not guarded.state_path.exists()


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_g3_credentials_go_to_the_configured_host_alone(guarded, side):
    """A redirect to a foreign host is an error; that host sees no connection."""
    history(guarded.sandbox)
    with RawServer(lambda request, sock: None) as foreign:
        guarded.sandbox.faults.add(
            side, "*", Fault(status=307, headers={"Location": foreign.url + "/x"}, times=None)
        )
        done = guarded.run("once")
        assert foreign.seen == []
    assert done.returncode == 1
    assert "redirect" in errors_of(done)
    guarded.sandbox.faults.clear()
    assert_nothing_lost(guarded)


# Row G4, personal data at rest


NAME, EMAIL, PHONE = "Zaphod Canary", "zaphod.canary@example.com", "+12125550187"
EVENT_DATA = [NAME.encode(), EMAIL.encode(), PHONE.encode(), b"cAnArY-tier"]


def _with_a_canary(installation: Installation, seconds_ago: float) -> str:
    """A customer of whom everything is recognisable, with an open and closed conversation."""
    world, now = installation.sandbox.world, installation.sandbox.clock.now()
    customer = world.add_customer(
        NAME,
        emails=[{"normalized": EMAIL, "original": EMAIL, "primary": True}],
        phones=[{"normalized": PHONE, "original": PHONE, "primary": True}],
        custom_attributes={"tier": "cAnArY-tier"},
        address="1 cAnArY-street",
        external_customer_id="cAnArY-external",
    )
    talk = world.open_conversation(customer, at=now - timedelta(seconds=seconds_ago))
    world.add_attribute(talk, "attribute", "cAnArY-attribute", at=now - timedelta(seconds=seconds_ago - 1))
    world.record(
        "CONVERSATION_ITEM/CREATED",
        {"conversationId": talk.id, "customerId": customer.id, "text": "cAnArY-text"},
        at=now - timedelta(seconds=seconds_ago - 2),
    )
    world.close(talk, at=now - timedelta(seconds=seconds_ago - 3))
    return customer.id


def _bytes_at_rest(installation: Installation) -> bytes:
    return b"\0".join(
        file.read_bytes() for file in installation.directory.glob(installation.state_path.name + "*")
    )


def _killed_at_its_end(installation: Installation) -> None:
    """A cycle that leaves its log beside the file, as a power cut would."""
    installation.settings[FAILPOINT] = "cycle.end"
    assert installation.run("once").returncode == -9
    del installation.settings[FAILPOINT]
    assert list(installation.directory.glob("*-wal"))


def test_g4_only_what_an_event_needs_is_stored(installation):
    """Of a customer the fields of the event; no address, no other system's id, no text, no attribute."""
    _with_a_canary(installation, 60)
    _killed_at_its_end(installation)
    held = _bytes_at_rest(installation)
    assert all(known in held for known in EVENT_DATA)
    assert re.findall(rb"cAnArY-(?!tier)\w+", held) == []
    assert_nothing_lost(installation)


def test_g4_what_is_past_its_retention_is_gone_from_the_bytes(installation):
    """After the payloads of delivered events are erased nothing of them is in the file, nor in its log."""
    _with_a_canary(installation, 60)
    run_until_delivered(installation)
    assert all(known in _bytes_at_rest(installation) for known in EVENT_DATA)
    installation.settings["GLADLY_SEGMENT_STATE__RETENTION"] = "1s"
    time.sleep(1.1)
    _killed_at_its_end(installation)
    held = _bytes_at_rest(installation)
    assert [known for known in EVENT_DATA if known in held] == []
    assert [event["payload"] for event in installation.events()] == [None, None]
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def test_g4_a_deleted_customer_is_gone_from_the_bytes(installation):
    """Delivered and still pending payloads alike; the pending ones are never sent."""
    customer = _with_a_canary(installation, 60)
    installation.sandbox.faults.add(
        "segment", "*", Fault(status=429, headers={"Retry-After": "600"}, times=1)
    )
    assert installation.run("once").returncode == 1
    assert all(known in _bytes_at_rest(installation) for known in EVENT_DATA)
    installation.sandbox.world.delete(customer)
    _killed_at_its_end(installation)
    held = _bytes_at_rest(installation)
    assert [known for known in EVENT_DATA if known in held] == []
    assert {event["status"] for event in installation.events()} == {"suppressed"}
    run_until_delivered(installation)
    assert len(installation.sandbox.inbox.attempts) == 0


def test_g4_a_reader_in_the_way_only_delays_the_erasing(installation):
    """While someone reads an older state it is still there for them; the next cycle after that wipes it."""
    customer = _with_a_canary(installation, 60)
    run_until_delivered(installation)
    with contextlib.closing(
        sqlite3.connect(installation.state_path.as_uri() + "?mode=ro", uri=True, isolation_level=None)
    ) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        installation.sandbox.world.delete(customer)
        assert installation.run("once", timeout=8).returncode == 0
    _killed_at_its_end(installation)
    held = _bytes_at_rest(installation)
    assert [known for known in EVENT_DATA if known in held] == []


def test_g4_no_log_line_holds_personal_data(installation):
    """At the debug level, with rejected, suppressed and retried events."""
    customer = _with_a_canary(installation, 60)
    installation.settings["GLADLY_SEGMENT_LOG__LEVEL"] = "debug"
    installation.sandbox.faults.reject_message(lambda event: event["event"].endswith("Closed"))
    said = [installation.run("--debug", "once").stderr]
    installation.sandbox.world.delete(customer)
    said += [installation.run("--debug", "once").stderr, installation.run("status").stdout]
    for known in EVENT_DATA:
        assert known.decode() not in "".join(said)


def test_g4_a_dry_run_leaves_no_copy_behind(installation):
    """The copy that it works on is for its owner alone, and gone afterwards."""
    _with_a_canary(installation, 60)
    run_until_delivered(installation)
    temporary = installation.directory / "temporary"
    temporary.mkdir()
    installation.settings["TMPDIR"] = str(temporary)
    installation.sandbox.faults.add("gladly", "/api/v1/events", Fault(delay_s=1, times=1))
    process = installation.start("once", "--dry-run")
    try:
        wait_until(lambda: list(temporary.rglob("*.db")))
        (copy,) = temporary.rglob("*.db")
        assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert list(temporary.iterdir()) == []


# Row G5, hostile text


HOSTILE = {
    "a line break": 'x\n{"event": "forged"}',
    "an escape sequence": "x\x1b[31mred\x1b]0;title\x07",
    "a change of direction": "x\u202egnp.exe",
    "SQL": "x'); DROP TABLE events; --",
    "a path": "../../../../etc/passwd",
    "a null": "x\x00y",
    "a query": "x?admin=1#top",
    "a percent": "%2e%2e%2f",
}


def test_g5_hostile_ids_do_no_harm(installation):
    """
    In a conversation's and in a customer's id: no other path is asked for, no line is forged, no terminal
    spoken to, no SQL run; the rest is delivered, and what is no id of Gladly's is kept in quarantine.
    """
    world = installation.sandbox.world
    history(installation.sandbox)
    honest = {truth.conversation_id for truth in world.truth()}
    hostile = set()
    for text in HOSTILE.values():
        hostile |= {text, text + "-2"}
        world.open_conversation(world.add_customer(id=text + "-customer"), id=text)
        world.open_conversation(world.add_customer(), id=text + "-2")
    done = installation.run("once")
    assert done.returncode == 0, done.stderr
    said = done.stderr + "".join(_run_all(installation, ("status",), ("events",), ("status", "--json")))
    assert [c for c in said if not (c.isprintable() or c == "\n")] == []
    for line in done.stderr.splitlines():
        assert json.loads(line)["event"] != "forged"
    for request in installation.sandbox.gladly_requests:
        assert re.fullmatch(
            r"/api/v1/(events|organization|agents|conversations/.+|customer-profiles/.+)", request.path, re.S
        )
        assert request.path == "/api/v1/events" or request.query == ""
    arrived = {e["properties"]["conversationId"] for e in installation.sandbox.inbox.received}
    assert [p for p in problems(installation.sandbox) if any(id_ in p for id_ in honest)] == []
    assert {HOSTILE["a path"], HOSTILE["a query"], HOSTILE["a percent"]} <= arrived
    assert arrived - honest <= hostile
    assert rows(installation.state_path, "SELECT count(*) FROM quarantine") != [(0,)]
    assert installation.run("once").returncode == 0


def test_g5_hostile_names_reach_segment_and_no_terminal(installation):
    """A customer may be called anything: as data it goes through unchanged, on a screen it is escaped."""
    world = installation.sandbox.world
    for text in HOSTILE.values():
        customer = world.add_customer(f"{text} Doe", emails=[{"original": f"{text}@example.com"}])
        agent = world.add_agent(f"{text} Agent")
        world.open_conversation(customer, agent=agent)
    assert_nothing_lost(installation)
    names = {e["properties"]["customerName"] for e in installation.sandbox.inbox.received}
    assert names == {f"{text} Doe" for text in HOSTILE.values()}
    said = "".join(_run_all(installation, ("events",), ("status",)))
    assert [c for c in said if not (c.isprintable() or c == "\n")] == []


def test_g5_hostile_answers_are_escaped_in_errors(installation):
    """What an end says in its error answer is quoted on one line, without control characters."""
    text = "".join(HOSTILE.values())
    history(installation.sandbox)
    body = json.dumps({"errors": [{"attr": "x", "code": "y", "detail": text}]}, ensure_ascii=False).encode()
    for side in ("gladly", "segment"):
        installation.sandbox.faults.add(side, "*", Fault(status=400, body=body, times=None))
        done = installation.run("once")
        said = done.stdout + done.stderr + "".join(_run_all(installation, ("status",), ("events",)))
        assert [c for c in said if not (c.isprintable() or c == "\n")] == []
        assert all(line.startswith(("{", "error: ")) for line in done.stderr.splitlines()), done.stderr
        installation.sandbox.faults.clear()


@pytest.mark.parametrize(
    "name",
    [
        "acme/../evil",
        "evil.example.com",
        "acme:443",
        "acme\\evil",
        "acme evil",
        "-acme",
        "acme.",
        "\u0430cme",
        "acme\x1b[31m",
    ],
)
def test_g5_an_organization_that_would_be_another_host_is_refused(installation, name):
    """Exit 2 before any call, or what is left of it is the organization's own host."""
    from sync.settings.config import organization_of

    installation.settings["GLADLY_SEGMENT_GLADLY__ORGANIZATION"] = name
    installation.settings["GLADLY_SEGMENT_GLADLY__BASE_URL"] = ""
    try:
        kept = organization_of(name)
    except ValueError:
        done = installation.run("check")
        assert done.returncode == 2
        said = done.stdout + done.stderr
        assert "gladly.organization" in said
        assert "\x1b" not in said
    else:
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)?", kept)
        assert kept.partition(".")[0] in {"acme", "evil"}
        assert "evil" not in kept


# Row G6, what is installed, and whom it calls


@pytest.mark.parametrize("lock", ["run.lock", "dev.lock"])
def test_g6_every_pinned_package_has_hashes_and_no_address(lock):
    """`pip install --require-hashes` takes nothing that was changed, from whatever index is configured."""
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    entries = re.split(r"\n(?=\S)", lines.replace("\\\n", " ").strip())
    for entry in entries:
        assert re.match(r"[a-z0-9][a-z0-9.-]*(\[[a-z,-]+\])?==\S+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert len(entries) > 10
    assert not re.search(r"://|--index-url|--extra-index-url|--find-links|--trusted-host| @ ", lines)
    assert "--require-hashes" in (ROOT / "Makefile").read_text("utf-8")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize(("package", "floor"), [("requests", "2.33"), ("urllib3", "2.7")])
def test_g6_no_release_with_a_known_hole_is_accepted(package, floor):
    """Asked for, pinned and installed: none is older than the first release without it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = next(line for line in project["dependencies"] if re.match(rf"{package}\b", line))
    assert _numbers(asked.partition(">=")[2]) >= _numbers(floor)
    for lock in ("run.lock", "dev.lock"):
        text = (ROOT / "requirements" / lock).read_text("utf-8")
        found = re.search(rf"^{package}==(\S+)", text, re.M)
        assert found or lock == "dev.lock", lock
        if found:
            assert _numbers(found[1]) >= _numbers(floor)
    assert _numbers(version(package)) >= _numbers(floor)


_WITNESS = """
import os, sys

def witness(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["WITNESS"], "a") as file:
            file.write(f"{event} {arguments[1] if event != 'socket.getaddrinfo' else arguments[:2]}\\n")

sys.addaudithook(witness)
"""


def test_g6_nobody_but_the_two_ends_is_called(installation):
    """No telemetry, no update check: every address connected to is one of the two configured."""
    history(installation.sandbox)
    (installation.directory / "witness").mkdir()
    (installation.directory / "witness" / "sitecustomize.py").write_text(_WITNESS)
    installation.settings |= {
        "PYTHONPATH": str(installation.directory / "witness"),
        "WITNESS": str(installation.directory / "witness.txt"),
    }
    for command in (("once",), ("check",), ("status",), ("events",), ("once", "--dry-run")):
        assert installation.run(*command).returncode == 0
    seen = (installation.directory / "witness.txt").read_text().splitlines()
    ports = [
        url.rpartition(":")[2] for url in (installation.sandbox.gladly_url, installation.sandbox.segment_url)
    ]
    allowed = {f"socket.connect ('127.0.0.1', {port})" for port in ports}
    allowed |= {f"socket.getaddrinfo ('127.0.0.1', {port})" for port in ports}
    assert {line for line in seen if line.startswith("socket.connect")} <= allowed
    assert set(seen) <= allowed
    assert len(seen) >= 2
    assert problems(installation.sandbox) == []
