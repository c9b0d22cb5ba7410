"""Lists and searches events for the debugger page: without their payload, with the customer's name."""

import json
import sqlite3

from state.queries.rows import Row, first_row, rows

# How many events one page of the list holds.
PAGE = 100

# A shorter text would be the beginning of half of all ids, so it must be a whole id.
_SHORTEST_PREFIX = 4

# A search looks at so many events for each kind of id, and finds so many by a name or an e-mail at most.
_MATCHES = 1_000

# No index holds names and e-mails. So a search for one reads the payloads of so many events, the newest.
SEARCHED_PAYLOADS = 20_000

# A shorter text is in half of all names.
_SHORTEST_OF_A_NAME = 3

_LISTED = """
    rowid AS place, message_id, conversation_id, customer_id, transition, event, occurred_at, status, reason,
    CASE WHEN json_valid(payload) THEN json_extract(payload, '$.properties.customerName') END AS customer_name
"""

# `+` keeps SQLite from reading an index in the wanted order: it would pass every row that does not match.
_SEARCH = f"""
    SELECT {_LISTED} FROM events
    WHERE rowid IN (
        SELECT rowid FROM (
            SELECT rowid FROM events WHERE message_id >= :q AND message_id < :q_end LIMIT {_MATCHES})
        UNION SELECT rowid FROM (
            SELECT rowid FROM events WHERE conversation_id >= :q AND conversation_id < :q_end
            LIMIT {_MATCHES})
        UNION SELECT rowid FROM (
            SELECT rowid FROM events WHERE customer_id >= :q AND customer_id < :q_end LIMIT {_MATCHES})
        UNION SELECT place FROM (
            SELECT events.rowid AS place FROM conversations CROSS JOIN events
            ON events.conversation_id = conversations.id
            WHERE conversations.customer_id >= :q AND conversations.customer_id < :q_end LIMIT {_MATCHES})
        UNION SELECT value FROM json_each(:people)
    )
    AND (:status IS NULL OR +status = :status)
    AND (:before_at IS NULL OR (+occurred_at, +rowid) < (:before_at, :before_place))
    ORDER BY +occurred_at DESC, +rowid DESC LIMIT :limit
"""  # noqa: S608  # constants joined; the values are parameters


def listed_events(
    connection: sqlite3.Connection,
    *,
    status: str | None = None,
    q: str | None = None,
    before: tuple[str, int] | None = None,
    limit: int = PAGE,
) -> list[Row]:
    """
    Return events, by the time Gladly recorded them, newest first.

    Args:
        connection: The state file.
        status: Only events of this status.
        q: Only events whose conversation, customer or message id is this text, or begins with it, and those
            that `places_by_person` finds.
        before: Only events older than this one (`occurred_at`, place).
        limit: How many to return at most.
    """
    at, place = before or (None, None)
    if q:
        return rows(
            connection,
            _SEARCH,
            {
                "q": q,
                "q_end": end_of_ids(q),
                "people": json.dumps(places_by_person(connection, q)),
                "status": status,
                "before_at": at,
                "before_place": place,
                "limit": limit,
            },
        )
    wheres = ["status = :status"] if status else []
    if before:
        wheres.append("(occurred_at, rowid) < (:at, :place)")
    where = f"WHERE {' AND '.join(wheres)}" if wheres else ""
    # S608: constants joined; the values are parameters.
    sql = f"SELECT {_LISTED} FROM events {where} ORDER BY occurred_at DESC, rowid DESC LIMIT :limit"  # noqa: S608
    return rows(connection, sql, {"status": status, "at": at, "place": place, "limit": limit})


def end_of_ids(q: str) -> str:
    """Return the text before which all ids stand that a search for *q* finds, in SQLite's order of text."""
    return q + "\U0010ffff" if len(q) >= _SHORTEST_PREFIX else q + "\x00"


def places_by_person(connection: sqlite3.Connection, q: str) -> list[int]:
    """
    Return the places of events whose payload has *q* in the customer's name or e-mail address.

    Capital letters make no difference. The newest `SEARCHED_PAYLOADS` events are read, and at most 1,000 are
    returned. A text of one or two characters finds none.
    """
    wanted = q.casefold()
    if len(wanted) < _SHORTEST_OF_A_NAME:
        return []
    # SQLite's lower() changes only ASCII. A payload may write other characters, quotes and backslashes
    # as escapes.
    plain = wanted if wanted.isascii() and wanted.isprintable() and not set(wanted) & set('"\\/') else ""
    found = connection.execute(
        "SELECT place, json_extract(payload, '$.properties.customerName'),"
        " json_extract(payload, '$.properties.email')"
        " FROM (SELECT rowid AS place, payload FROM events ORDER BY occurred_at DESC LIMIT ?)"
        " WHERE instr(lower(payload), ?) AND json_valid(payload)",
        (SEARCHED_PAYLOADS, plain),
    )
    places = []
    for place, *texts in found:
        if any(wanted in str(text).casefold() for text in texts if text is not None):
            places.append(place)
            if len(places) == _MATCHES:
                break
    return places


def listed_events_after(connection: sqlite3.Connection, place: int, limit: int = PAGE) -> list[Row]:
    """Return the newest *limit* of the events that arrived after *place*, newest first."""
    return rows(
        connection,
        f"SELECT {_LISTED} FROM events WHERE rowid > ? ORDER BY rowid DESC LIMIT ?",  # noqa: S608 (constants)
        (place, limit),
    )


def listed_events_at(connection: sqlite3.Connection, places: list[int]) -> list[Row]:
    """Return the events at these places, as they are now."""
    if not places:
        return []
    numbers = ", ".join(str(int(place)) for place in places)
    return rows(connection, f"SELECT {_LISTED} FROM events WHERE rowid IN ({numbers})")  # noqa: S608 (numbers)


def whole_event(connection: sqlite3.Connection, message_id: str) -> Row | None:
    """Return one event with all its columns. Return None where there is none with this id."""
    return first_row(connection, "SELECT rowid AS place, * FROM events WHERE message_id = ?", (message_id,))
