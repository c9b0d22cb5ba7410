"""What must hold after a fault: the state file is whole, and nothing is lost."""

from datetime import datetime

from support.checker import problems, suppressed
from support.installation import Installation
from support.state_file import rows


def assert_whole(installation: Installation) -> None:
    """
    Check that the file is sound, that it knows all that was sent, and that one messageId has one content (D).
    """
    sandbox, path = installation.sandbox, installation.state_path
    contents: dict[str, set[bytes]] = {}
    for attempt in sandbox.inbox.attempts:
        contents.setdefault(attempt.message_id, set()).add(attempt.raw)
    assert [id_ for id_, several in contents.items() if len(several) > 1] == []
    if not path.exists() or not path.stat().st_size:
        assert contents == {}
        return
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    events = installation.events()
    assert contents.keys() - {e["message_id"] for e in events} == set()
    assert {e["message_id"] for e in events if e["status"] == "delivered"} - contents.keys() == set()


def run_until_delivered(installation: Installation, tries: int = 4) -> None:
    """Run cycles until no event is pending."""
    for _ in range(tries):
        done = installation.run("once")
        if done.returncode == 0 and not installation.events(status="pending"):
            return
    raise AssertionError(f"exit {done.returncode}: {done.stderr}")


def assert_nothing_lost(installation: Installation, *, until: datetime | None = None) -> None:
    """
    Run cycles, and check that Segment then has the world's history: none missing, none extra, every field
    right.
    """
    assert_whole(installation)
    run_until_delivered(installation)
    assert_whole(installation)
    found = problems(installation.sandbox, until=until)
    assert found == [], "\n".join(found)
    assert suppressed(installation.sandbox, installation.events()) == []
