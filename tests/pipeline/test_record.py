"""What a chunk of changes comes to is written in one transaction (semantics 4.1)."""

import pytest

from state.records import BadLine
from support.state_file import quarantined, rows
from support.worlds import busy_minutes
from sync.events.changes import Chunk
from sync.events.options import EventOptions
from sync.pipeline.record import Figures, SeenChanges


@pytest.fixture
def chunk(parts, ago):
    """Return a function that reads what Gladly shows of the last ten minutes, as one chunk."""

    def read():
        (found,) = parts.feed.since(ago(600))
        return found

    return read


def record(parts, chunk, **how):
    """Record a chunk, and send nothing."""
    with parts.deliverer.begin() as delivery:
        return parts.record.record(chunk, delivery, **how)


def events(parts, columns="conversation_id, event, status"):
    return rows(parts.store.path, f"SELECT {columns} FROM events ORDER BY occurred_at")


def test_the_events_and_the_watermark_are_written_together(parts, sandbox, chunk):
    """The events are in recorded order, and recorded. The figures say what they were."""
    ids = busy_minutes(sandbox, 2)
    taken = chunk()
    assert record(parts, taken) == Figures(changes=4, created=2, closed=2, is_new=True, events=4)
    names = ("Gladly Conversation Created", "Gladly Conversation Closed")
    assert events(parts) == [(id_, name, "recorded") for id_ in ids for name in names]
    assert parts.store.watermark() == taken.position
    assert {id_: c.status for id_, c in parts.store.conversations(ids).items()} == dict.fromkeys(
        ids, "CLOSED"
    )


def test_recording_needs_no_request(parts, sandbox, chunk):
    """What the changes carry is written: the agent of a close stands with its event."""
    world = sandbox.world
    sam = world.add_agent("Sam Doe")
    talk = world.open_conversation(world.add_customer("Ana"), agent=sam)
    world.close(talk)
    taken = chunk()
    before = len(sandbox.gladly_requests)
    record(parts, taken)
    assert len(sandbox.gladly_requests) == before
    assert events(parts, "event, payload, agent_id")[-1] == ("Gladly Conversation Closed", None, sam.id)


@pytest.mark.parametrize("remembers", [True, False])
def test_a_chunk_that_is_read_twice_makes_no_event_twice(parts, sandbox, chunk, remembers):
    """A poll recognises the changes by their ids. Without these, the stored state recognises them."""
    busy_minutes(sandbox, 2)
    seen = SeenChanges() if remembers else None
    record(parts, chunk(), seen=seen)
    before = events(parts, "*")
    again = record(parts, chunk(), seen=seen)
    assert (again.created, again.closed) == (0, 0)
    assert events(parts, "*") == before


def test_changes_near_the_watermark_are_remembered_in_the_file(parts, sandbox, chunk, ago):
    """Those that the next poll does not read again are not."""
    busy_minutes(sandbox, 1)
    near = sandbox.world.open_conversation(sandbox.world.add_customer(recorded=False), at=ago(10))
    taken = chunk()
    record(parts, taken, seen=SeenChanges())
    (id_,) = [change.id for change in taken.changes if change.conversation_id == near.id]
    assert parts.store.seen_changes().keys() == {id_}


@pytest.mark.parametrize("reopened", [False, True])
def test_a_reopening_is_sent_where_it_is_asked_for(parts_of, sandbox, ago, reopened):
    """It is written down in any case, with the reason why nothing was sent."""
    world = sandbox.world
    talk = world.open_conversation(world.add_customer(), at=ago(60))
    world.close(talk, at=ago(40))
    world.reopen(talk, at=ago(20))
    parts = parts_of(EventOptions(reopened=reopened))
    (read,) = parts.feed.since(ago(600))
    record(parts, read)
    kinds = [event.split()[-1] for (event,) in events(parts, "event")]
    assert kinds == ["Created", "Closed", *(["Reopened"] if reopened else [])]
    ((why,),) = rows(parts.store.path, "SELECT why FROM changes WHERE type = 'REOPENED'")
    assert why.endswith("reopenings are not sent (sync.reopened)") is not reopened


def test_a_bad_line_is_put_into_quarantine_once(parts, ago):
    """The overlap shows it again. The watermark passes it."""
    position = ago(60).replace(microsecond=0)
    bad = Chunk([], position, [BadLine("events", "not JSON", b"{")] * 2)
    assert record(parts, bad) == Figures(bad_lines=1, is_new=True)
    assert record(parts, bad) == Figures()
    assert quarantined(parts.store.path) == [("{", "not JSON")]
    assert parts.store.watermark() == position


def test_a_resync_moves_its_own_progress_and_not_the_watermark(parts, sandbox, chunk, ago):
    """The watermark is the poll's."""
    busy_minutes(sandbox, 2)
    resync = parts.store.resyncs.begin(ago(900), ago(0))
    taken = chunk()
    assert record(parts, taken, resync=resync.id).created == 2
    assert parts.store.watermark() is None
    assert parts.store.resyncs.begin(ago(900), ago(0)).position == taken.position
