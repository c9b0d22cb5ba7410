"""Reads whose state the file holds."""

import sqlite3

from state.queries.rows import Row, rows, value


def organization(connection: sqlite3.Connection) -> str | None:
    """Return the host of the organization that the file is bound to. Return None for none."""
    host: str | None = _bound(connection)["host"]
    return host


def began_at(connection: sqlite3.Connection) -> str | None:
    """Return since when the file has followed its organization. Return None where that is not known."""
    # A file of an older schema has no such column.
    if not value(connection, "SELECT 1 FROM pragma_table_info('organization') WHERE name = 'began_at'"):
        return None
    instant: str | None = value(connection, "SELECT began_at FROM organization")
    return instant


def write_key_fingerprint(connection: sqlite3.Connection) -> str | None:
    """Return the fingerprint of the write key that the message ids are made with. Return None for none."""
    fingerprint: str | None = _bound(connection)["write_key_fingerprint"]
    return fingerprint


def _bound(connection: sqlite3.Connection) -> Row:
    # A file of an older schema has no such table.
    is_there = value(connection, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'organization'")
    found = rows(connection, "SELECT host, write_key_fingerprint FROM organization") if is_there else []
    return found[0] if found else {"host": None, "write_key_fingerprint": None}
