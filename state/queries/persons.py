"""Finds everything that is stored of one person: for `forget`, before and after it erases."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from state.queries.rows import rows, value
from state.search import forms_of

# The properties of an event that say nothing of the customer.
_NOT_OF_THE_CUSTOMER = frozenset(
    (
        *("conversationId", "status", "agentId", "agentName", "topicIds", "topicNames", "inboxId"),
        *("createdAt", "closedAt"),
    )
)

# A shorter text stands anywhere by chance.
SHORTEST_TEXT = 4

# The columns into which an answer or a line from outside was copied.
_COPIED = (
    ("quarantine", "line"),
    ("quarantine", "reason"),
    ("polls", "error"),
    ("conditions", "reason"),
    ("audits", "note"),
)

_EVERYONE = """
    WITH RECURSIVE everyone (id) AS (
        SELECT :id UNION
        SELECT customers.id FROM customers JOIN everyone ON customers.merged_into = everyone.id)
"""

_LIVES_ON_AS = """
    WITH RECURSIVE up (id, step) AS (
        SELECT :id, 0 UNION
        SELECT merged_into, step + 1 FROM customers JOIN up ON customers.id = up.id
        WHERE merged_into IS NOT NULL AND step < 100)
    SELECT id FROM up WHERE step > 0 AND id NOT IN (SELECT id FROM customers WHERE merged_into IS NOT NULL)
"""

_COUNTS = {
    "conversations": "conversations WHERE customer_id IN everyone",
    "open_conversations": "conversations WHERE customer_id IN everyone"
    " AND status NOT IN ('DELETED', 'MERGED')",
    "events": "events WHERE customer_id IN everyone",
    "undelivered": "events WHERE customer_id IN everyone AND status IN ('recorded', 'pending', 'rejected')",
    "payloads": "events WHERE customer_id IN everyone AND payload IS NOT NULL",
    "lines": "quarantine WHERE EXISTS (SELECT 1 FROM everyone WHERE instr(line, everyone.id))",
}


class Person(NamedTuple):
    """
    What is stored of one customer, and of everyone who was merged into this customer.

    Attributes:
        ids: Their ids, this customer's first.
        lives_on_as: The customer into whom this customer was merged; None where this is the one who remains.
        is_known: Whether anything at all is stored, be it the id.
        counts: How many `conversations`, `open_conversations` (not deleted), `events`, `undelivered` events,
            `payloads` and `lines` in quarantine there are.
        texts: What the payloads say of the person, each text with the name of its property.
    """

    ids: list[str]
    lives_on_as: str | None
    is_known: bool
    counts: dict[str, int]
    texts: dict[str, str]


def person(connection: sqlite3.Connection, customer_id: str) -> Person:
    """Return what is stored of a customer, and of everyone who was merged into this customer."""
    parameter = {"id": customer_id}
    # S608: constants of this module joined; the values are parameters.
    everyone = rows(connection, _EVERYONE + "SELECT id FROM everyone", parameter)  # noqa: S608
    counts = {
        name: int(value(connection, f"{_EVERYONE} SELECT count(*) FROM {what}", parameter))  # noqa: S608
        for name, what in _COUNTS.items()
    }
    payloads = connection.execute(
        _EVERYONE  # noqa: S608
        + "SELECT payload FROM events WHERE customer_id IN everyone AND json_valid(payload)",
        parameter,
    )
    texts: dict[str, str] = {}
    for (payload,) in payloads:
        for name, text in _texts(json.loads(payload).get("properties") or {}):
            texts.setdefault(text, name)
    is_known = bool(
        counts["conversations"]
        or counts["events"]
        or value(connection, "SELECT 1 FROM customers WHERE id = :id OR merged_into = :id", parameter)
    )
    ids = [row["id"] for row in everyone]
    return Person(ids, value(connection, _LIVES_ON_AS, parameter), is_known, counts, texts)


def _texts(properties: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts and long numbers in a customer's properties, each behind the name of its property."""
    for name, content in properties.items():
        if not prefix and name in _NOT_OF_THE_CUSTOMER:
            continue
        for each in content if isinstance(content, list) else [content]:
            if isinstance(each, dict):
                yield from _texts(each, f"{prefix}{name}.")
            elif not isinstance(each, bool | float | None) and len(str(each)) >= SHORTEST_TEXT:
                yield prefix + name, str(each)


def where_texts_stand(
    connection: sqlite3.Connection, texts: Sequence[str], ids: Sequence[str]
) -> dict[str, dict[str, int]]:
    """
    Return in how many rows each text stands, by `own`, `copied` and `others`.

    `own` are payloads of these customers. `copied` are columns that hold what Gladly or Segment has answered.
    `others` are all other rows, such as the payload of another customer of the same name.

    Args:
        connection: The state file.
        texts: The texts.
        ids: The customers.
    """
    forms = [(text, form.decode("utf-8", "replace")) for text in texts for form in forms_of(text)]
    parameters = {"forms": json.dumps(forms), "ids": json.dumps(list(ids))}
    found = {text: {"own": 0, "copied": 0, "others": 0} for text in texts}
    names = [
        row["name"]
        for row in rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")
        if not row["name"].startswith("sqlite_")
    ]
    for table in names:
        for column in (row["name"] for row in rows(connection, f"PRAGMA table_info({table})")):
            is_own = "customer_id IN (SELECT value FROM json_each(:ids))" if table == "events" else "false"
            counted = rows(
                connection,
                # S608: names of the file's own schema, and constants.
                f"SELECT json_extract(form.value, '$[0]') AS text, sum({is_own}) AS own, count(*) AS n"  # noqa: S608
                f" FROM {table} AS t JOIN json_each(:forms) AS form"
                f" ON instr(t.{column}, json_extract(form.value, '$[1]')) GROUP BY text",
                parameters,
            )
            for row in counted:
                own = row["own"] if column == "payload" else 0
                kind = "copied" if (table, column) in _COPIED else "others"
                found[row["text"]]["own"] += own
                found[row["text"]][kind] += row["n"] - own
    return found
