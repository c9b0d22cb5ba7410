"""The changes near the watermark are recognised when a poll reads them again (semantics 3.2)."""

from datetime import UTC, datetime, timedelta

from sync.events.changes import Change, ChangeType
from sync.pipeline.record import SeenChanges

T0 = datetime(2026, 11, 20, 8, tzinfo=UTC)


def change(id_, seconds=0.0):
    return Change(id_, ChangeType.CREATED, T0 + timedelta(seconds=seconds), "customer", f"conversation-{id_}")


def ids(changes):
    return [each.id for each in changes]


def test_what_was_taken_in_before_is_left_out():
    """The others keep their order."""
    seen = SeenChanges({"b": T0})
    assert ids(seen.unseen([change("c"), change("b"), change("a")])) == ["c", "a"]


def test_what_stands_twice_in_one_chunk_counts_once():
    """The first one counts."""
    first, second = change("a"), change("a", 1)
    assert SeenChanges().unseen([first, second]) == [first]


def test_looking_does_not_remember():
    """A chunk that could not be committed is read again, and none of it may be missing then."""
    seen = SeenChanges()
    assert ids(seen.unseen([change("a")])) == ["a"]
    assert ids(seen.unseen([change("a")])) == ["a"]
    seen.remember({"a": T0}, since=T0)
    assert seen.unseen([change("a")]) == []


def test_a_change_of_the_report_is_never_recognised():
    """It has no id. The stored state recognises it instead."""
    seen = SeenChanges()
    seen.remember({"": T0}, since=T0 + timedelta(seconds=1))
    assert len(seen.unseen([change(""), change("", 1)])) == 2


def test_what_the_watermark_has_passed_is_forgotten():
    """A change at the watermark itself is read again. One before it is not."""
    seen = SeenChanges({"before": T0, "at": T0 + timedelta(seconds=10)})
    seen.remember({"after": T0 + timedelta(seconds=20)}, since=T0 + timedelta(seconds=10))
    assert ids(seen.unseen([change("before"), change("at"), change("after")])) == ["before"]


def test_what_is_given_stays_as_it_is():
    """The caller's mapping is the state file's answer."""
    known = {"a": T0}
    SeenChanges(known).remember({"b": T0}, since=T0)
    assert known == {"a": T0}
