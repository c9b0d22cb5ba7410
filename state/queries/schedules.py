"""Reads how often a cycle is expected, and who runs cycles."""

import sqlite3

from state.queries.rows import Row, first_row, rows


def expected_cycles(connection: sqlite3.Connection) -> Row | None:
    """
    Return who ran cycles last and how often: `role` (`daemon` or `once`), `every_s`, `updated_at`.

    Return None where nobody has said so yet, or in a file of an older schema.
    """
    if not rows(connection, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schedules'"):
        return None
    return first_row(connection, "SELECT * FROM schedules ORDER BY updated_at DESC LIMIT 1")
