"""Which receivers have taken events, and when (semantics 4.4)."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from state.instants import to_text, utc_now
from support.state_samples import query

DAY = timedelta(days=1)


def move_all_to(path, at):
    """Change when the receivers took events."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE receivers SET accepted_at = ?", (to_text(at),))


def test_a_receiver_is_known_once_it_has_taken_events(store):
    """No other receiver is: neither another key nor another address."""
    assert not store.receivers.has_accepted("key-1@host", utc_now() - DAY)
    store.receivers.note_accepted("key-1@host")
    assert store.receivers.has_accepted("key-1@host", utc_now() - DAY)
    assert not store.receivers.has_accepted("key-2@host", utc_now() - DAY)
    assert not store.receivers.has_accepted("key-1@other", utc_now() - DAY)


@pytest.mark.parametrize(("hours_ago", "counts"), [(1, True), (23, True), (25, False), (-2, False)], ids=str)
def test_only_an_acceptance_since_then_counts(path, store, hours_ago, counts):
    """One that a wrong clock put into the future does not count."""
    store.receivers.note_accepted("key-1@host")
    move_all_to(path, utc_now() - timedelta(hours=hours_ago))
    assert store.receivers.has_accepted("key-1@host", utc_now() - DAY) is counts


def test_an_acceptance_is_noted_twice_an_hour_at_most(path, store):
    """Batch after batch costs one write."""
    for _ in range(3):
        store.receivers.note_accepted("key-1@host")
    ((first,),) = query(path, "SELECT accepted_at FROM receivers")
    move_all_to(path, utc_now() - timedelta(hours=1))
    store.receivers.note_accepted("key-1@host")
    ((second,),) = query(path, "SELECT accepted_at FROM receivers")
    assert second >= first
