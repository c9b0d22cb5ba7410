"""Reads whose state the file holds."""

import sqlite3

from state.queries.rows import value


def organization(connection: sqlite3.Connection) -> str | None:
    """Return the host of the organization that the file is bound to. Return None for none."""
    # A file of an older schema has no such table.
    if not value(connection, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'organization'"):
        return None
    host: str | None = value(connection, "SELECT host FROM organization")
    return host


def began_at(connection: sqlite3.Connection) -> str | None:
    """Return since when the file has followed its organization. Return None where that is not known."""
    # A file of an older schema has no such column.
    if not value(connection, "SELECT 1 FROM pragma_table_info('organization') WHERE name = 'began_at'"):
        return None
    instant: str | None = value(connection, "SELECT began_at FROM organization")
    return instant
