"""Personal data is in the state file, in logs and in copies (faults G4)."""

import contextlib
import re
import sqlite3
import stat
import time
from datetime import timedelta

import pytest

from sandbox import Fault
from support.installation import Installation
from support.processes import FAILPOINT
from support.recovery import assert_nothing_lost, run_until_delivered
from support.waiting import wait_until

pytestmark = pytest.mark.long


NAME, EMAIL, PHONE = "Zaphod Canary", "zaphod.canary@example.com", "+12125550187"


EVENT_DATA = [NAME.encode(), EMAIL.encode(), PHONE.encode(), b"cAnArY-tier"]


def _with_a_canary(installation: Installation, seconds_ago: float) -> str:
    """
    Add a customer whose data can all be recognised, with a conversation that was opened and closed. Return
    the customer's id.
    """
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
    """Return the bytes of the state file and of all files beside it."""
    return b"\0".join(
        file.read_bytes() for file in installation.directory.glob(installation.state_path.name + "*")
    )


def _killed_at_its_end(installation: Installation) -> None:
    """Run a cycle that is killed and leaves its write-ahead log beside the file, as a power cut would."""
    installation.settings[FAILPOINT] = "tidy.end"
    assert installation.run("once").returncode == -9
    del installation.settings[FAILPOINT]
    assert list(installation.directory.glob("*-wal"))


def test_only_what_an_event_needs_is_stored(installation):
    """
    The state file holds the fields of the event. It holds no address, no id of another system, no text and no
    attribute (faults G4).
    """
    _with_a_canary(installation, 60)
    _killed_at_its_end(installation)
    held = _bytes_at_rest(installation)
    assert all(known in held for known in EVENT_DATA)
    assert re.findall(rb"cAnArY-(?!tier)\w+", held) == []
    assert_nothing_lost(installation)


def test_what_is_past_its_retention_is_gone_from_the_bytes(installation):
    """
    After the payloads of delivered events are erased, neither the file nor its log holds anything of them
    (faults G4).
    """
    _with_a_canary(installation, 60)
    run_until_delivered(installation)
    assert all(known in _bytes_at_rest(installation) for known in EVENT_DATA)
    installation.settings["GLADLY_SEGMENT_STATE__RETENTION"] = "1s"
    time.sleep(2.2)  # Gladly's clock shows whole seconds
    _killed_at_its_end(installation)
    held = _bytes_at_rest(installation)
    assert [known for known in EVENT_DATA if known in held] == []
    assert [event["payload"] for event in installation.events()] == [None, None]
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def test_a_deleted_customer_is_gone_from_the_bytes(installation):
    """Delivered and pending payloads are both erased. The pending ones are never sent (faults G4)."""
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


def test_a_reader_in_the_way_only_delays_the_erasing(installation):
    """
    Someone who reads an older state still sees the data. The first cycle after that wipes it (faults G4).
    """
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


def test_no_log_line_holds_personal_data(installation):
    """The log is at level debug, and has rejected, suppressed and retried events (faults G4)."""
    customer = _with_a_canary(installation, 60)
    installation.settings["GLADLY_SEGMENT_LOG__LEVEL"] = "debug"
    installation.sandbox.faults.reject_message(lambda event: event["event"].endswith("Closed"))
    said = [installation.run("--debug", "once").stderr]
    installation.sandbox.world.delete(customer)
    said += [installation.run("--debug", "once").stderr, installation.run("status").stdout]
    for known in EVENT_DATA:
        assert known.decode() not in "".join(said)


def test_a_dry_run_leaves_no_copy_behind(installation):
    """Only the owner may read the copy that a dry run works on. Afterwards the copy is gone (faults G4)."""
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
