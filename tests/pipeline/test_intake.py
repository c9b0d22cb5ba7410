"""What a chunk of changes comes to is written in one transaction (semantics 4.1)."""

import pytest

from sandbox import Fault
from state.records import BadLine, EventStatus
from support.endpoints import CONVERSATIONS, PROFILES
from support.state_file import quarantined, rows
from support.worlds import busy_minutes
from sync.errors import RetryableError
from sync.events.changes import Chunk
from sync.events.options import EventOptions
from sync.pipeline.intake import Figures
from sync.pipeline.seen_changes import SeenChanges
from sync.segment.limits import SegmentLimits


@pytest.fixture
def chunk(parts, ago):
    """Return a function that reads what Gladly shows of the last ten minutes, as one chunk."""

    def read():
        (found,) = parts.feed.since(ago(600))
        return found

    return read


def take_in(parts, chunk, **how):
    """Take a chunk in, and send nothing."""
    with parts.deliverer.begin() as delivery:
        return parts.intake.take_in(chunk, delivery, **how)


def events(parts, columns="conversation_id, event, status"):
    return rows(parts.store.path, f"SELECT {columns} FROM events ORDER BY occurred_at")


def test_the_events_and_the_watermark_are_written_together(parts, sandbox, chunk):
    """The events are in recorded order, and pending. The figures say what they were."""
    ids = busy_minutes(sandbox, 2)
    taken = chunk()
    assert take_in(parts, taken) == Figures(changes=4, created=2, closed=2, is_new=True)
    names = ("Gladly Conversation Created", "Gladly Conversation Closed")
    assert events(parts) == [(id_, name, "pending") for id_ in ids for name in names]
    assert parts.store.watermark() == taken.position
    assert {id_: c.status for id_, c in parts.store.conversations(ids).items()} == dict.fromkeys(
        ids, "CLOSED"
    )


@pytest.mark.parametrize("path", [CONVERSATIONS, PROFILES])
def test_a_look_up_that_fails_leaves_nothing_behind(parts, sandbox, chunk, path):
    """The same chunk is taken in whole once Gladly answers."""
    ids = busy_minutes(sandbox, 2)
    sandbox.faults.add("gladly", path, Fault(503))
    with pytest.raises(RetryableError, match="answered 503"):
        take_in(parts, chunk())
    assert events(parts) == []
    assert (parts.store.watermark(), parts.store.conversations(ids)) == (None, {})
    assert take_in(parts, chunk()).created == 2


@pytest.mark.parametrize("remembers", [True, False])
def test_a_chunk_that_is_read_twice_makes_no_event_twice(parts, sandbox, chunk, remembers):
    """A poll recognises the changes by their ids. Without these, the stored state recognises them."""
    busy_minutes(sandbox, 2)
    seen = SeenChanges() if remembers else None
    take_in(parts, chunk(), seen=seen)
    before = events(parts, "*")
    again = take_in(parts, chunk(), seen=seen)
    assert (again.created, again.closed) == (0, 0)
    assert events(parts, "*") == before


def test_changes_near_the_watermark_are_remembered_in_the_file(parts, sandbox, chunk, ago):
    """Those that the next poll does not read again are not."""
    busy_minutes(sandbox, 1)
    near = sandbox.world.open_conversation(sandbox.world.add_customer(recorded=False), at=ago(10))
    taken = chunk()
    take_in(parts, taken, seen=SeenChanges())
    (id_,) = [change.id for change in taken.changes if change.conversation_id == near.id]
    assert parts.store.seen_changes().keys() == {id_}


def test_a_customer_who_is_gone_gets_no_event(parts, sandbox, chunk):
    """The profile is gone before the feed says so. The event is suppressed, and nothing personal is kept."""
    world = sandbox.world
    talk = world.close(world.open_conversation(world.add_customer("Ida Roe", recorded=False)))
    read = chunk()
    world.delete(talk.customer_id)
    take_in(parts, read)
    suppressed = (EventStatus.SUPPRESSED, "customer's profile is gone (404)", None)
    assert events(parts, "status, reason, payload") == [suppressed] * 2
    assert parts.store.deleted_customers([talk.customer_id]).keys() == {talk.customer_id}


@pytest.mark.parametrize("reopened", [False, True])
def test_a_reopening_is_sent_where_it_is_asked_for(parts_of, sandbox, ago, reopened):
    """It is written down in any case, with the reason why nothing was sent."""
    world = sandbox.world
    talk = world.open_conversation(world.add_customer(), at=ago(60))
    world.close(talk, at=ago(40))
    world.reopen(talk, at=ago(20))
    parts = parts_of(EventOptions(reopened=reopened))
    (read,) = parts.feed.since(ago(600))
    take_in(parts, read)
    kinds = [event.split()[-1] for (event,) in events(parts, "event")]
    assert kinds == ["Created", "Closed", *(["Reopened"] if reopened else [])]
    ((why,),) = rows(parts.store.path, "SELECT why FROM changes WHERE type = 'REOPENED'")
    assert why.endswith("reopenings are not sent (sync.reopened)") is not reopened


def test_an_event_that_is_too_large_is_rejected_at_once(parts_of, sandbox, ago):
    """A person finds it, with its size, and Segment is not asked."""
    busy_minutes(sandbox, 1)
    parts = parts_of(segment_limits=SegmentLimits(event_max_bytes=100))
    (read,) = parts.feed.since(ago(600))
    take_in(parts, read)
    found = events(parts, "status, reason")
    assert {status for status, _ in found} == {EventStatus.REJECTED}
    assert all(reason.endswith("and Segment takes at most 100 an event") for _, reason in found)


def test_a_bad_line_is_put_into_quarantine_once(parts, ago):
    """The overlap shows it again. The watermark passes it."""
    position = ago(60).replace(microsecond=0)
    bad = Chunk([], position, [BadLine("events", "not JSON", b"{")] * 2)
    assert take_in(parts, bad) == Figures(bad_lines=1, is_new=True)
    assert take_in(parts, bad) == Figures()
    assert quarantined(parts.store.path) == [("{", "not JSON")]
    assert parts.store.watermark() == position


def test_a_resync_moves_its_own_progress_and_not_the_watermark(parts, sandbox, chunk, ago):
    """The watermark is the poll's."""
    busy_minutes(sandbox, 2)
    resync = parts.store.resyncs.begin(ago(900), ago(0))
    taken = chunk()
    assert take_in(parts, taken, resync=resync.id).created == 2
    assert parts.store.watermark() is None
    assert parts.store.resyncs.begin(ago(900), ago(0)).position == taken.position
