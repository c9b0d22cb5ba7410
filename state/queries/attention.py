"""Finds what needs a person: the rows of the view `needs_attention`, grouped by kind and reason."""

import sqlite3
from typing import NamedTuple

from state.queries.rows import Row, rows, value

# Everything that the view can list, in its order: what is lost first comes first.
WHATS = (
    "gap clock",
    "full disk",
    "refused token",
    "no good cycle",
    "silent feed",
    "refused key",
    "gap",
    "unproved day",
    "dropped events",
    "rejected event",
    "held back event",
    "unreadable line",
    "mended day",
    "delayed erasure",
)

# What `dismiss` takes off the list. Everything else goes when its cause does.
DISMISSIBLE = ("gap", "unproved day", "dropped events", "held back event", "unreadable line", "mended day")

# The command that reaches all things of a group.
_FOR_ALL = {
    "rejected event": "gladly-segment retry --all",
    "held back event": "gladly-segment retry --all",
    "gap": "gladly-segment dismiss --all --what gap",
    "unreadable line": "gladly-segment dismiss --all --what 'unreadable line'",
    "dropped events": "gladly-segment dismiss --all --what 'dropped events'",
    "mended day": "gladly-segment dismiss --all --what 'mended day'",
    "unproved day": "gladly-segment audit",
}


class Attention(NamedTuple):
    """
    What needs a person.

    Attributes:
        groups: The most urgent groups, each as `needs_attention` returns it.
        more: The groups that were left out: for each kind, how many things. Empty when nothing was.
        total: How many things need a person, in all groups.
    """

    groups: list[Row]
    more: dict[str, int]
    total: int


def attention(connection: sqlite3.Connection, limit: int | None = 10) -> Attention:
    """
    Return what needs a person, grouped by kind and reason, what is lost first at the beginning.

    Args:
        connection: The state file.
        limit: How many groups to return at most. None returns all.
    """
    groups = needs_attention(connection)
    shown = groups if limit is None else groups[:limit]
    more: dict[str, int] = {}
    for group in groups[len(shown) :]:
        more[group["what"]] = more.get(group["what"], 0) + group["count"]
    return Attention(shown, more, sum(group["count"] for group in groups))


def needs_attention(connection: sqlite3.Connection, limit: int = -1) -> list[Row]:
    """
    Return the groups: rows with `what`, `id`, `reason`, `since`, `command` and `count`.

    Two things are of one group when they are of one kind and have the same reason. The reason may name the
    thing's own id, which then stands as `ID`. `id` and `since` are those of the thing that has waited
    longest, and `command` reaches the whole group.

    Args:
        connection: The state file.
        limit: How many groups to return at most. A negative number returns all.
    """
    # A file of an older schema has an older view, in which the order is as good.
    columns = {row["name"] for row in rows(connection, "PRAGMA table_info(needs_attention)")}
    urgency = "urgency" if "urgency" in columns else "what"
    found = rows(
        connection,
        # With min(), SQLite takes the other columns from the row that has the minimum.
        # S608: one of two constants.
        "SELECT what, id, CASE count(*) WHEN 1 THEN reason ELSE replace(reason, id, 'ID') END AS reason,"  # noqa: S608
        " min(since) AS since, command, count(*) AS count"
        " FROM needs_attention GROUP BY what, replace(reason, id, 'ID')"
        f" ORDER BY {urgency}, since LIMIT ?",
        (limit,),
    )
    return [
        group | {"command": _FOR_ALL.get(group["what"], group["command"])} if group["count"] > 1 else group
        for group in found
    ]


def command_for_all(what: str) -> str | None:
    """Return the command that reaches all things of a kind. Return None where each has its own."""
    return _FOR_ALL.get(what)


def attention_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many things of each kind need a person. Every kind of `WHATS` is named."""
    found = rows(connection, "SELECT what, count(*) AS n FROM needs_attention GROUP BY what")
    return dict.fromkeys(WHATS, 0) | {row["what"]: row["n"] for row in found}


def ids_needing_attention(connection: sqlite3.Connection, what: str | None = None) -> list[str]:
    """Return the ids of all things that need a person, or of those of one kind."""
    sql = "SELECT id FROM needs_attention WHERE ? IN (what, '')"
    return [row["id"] for row in rows(connection, sql, (what or "",))]


def quarantined(connection: sqlite3.Connection) -> int:
    """Return how many lines and gaps of the quarantine no person has dismissed."""
    count: int = value(connection, "SELECT count(*) FROM quarantine WHERE dismissed_at IS NULL")
    return count
