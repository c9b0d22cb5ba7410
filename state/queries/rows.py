"""Runs SQL and returns rows as dictionaries, whatever row factory the connection has."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def rows(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> list[Row]:
    """Return all rows that *sql* finds, each as a dictionary by column."""
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def first_row(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> Row | None:
    """Return the first row that *sql* finds. Return None where it finds none."""
    found = rows(connection, sql, parameters)
    return found[0] if found else None


def has_column(connection: sqlite3.Connection, table: str, name: str) -> bool:
    """Return whether a table has a column. A file of an older schema may lack it."""
    return any(row["name"] == name for row in rows(connection, f"PRAGMA table_info({table})"))


def value(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
) -> Any:
    """Return the first column of the first row that *sql* finds. Return None where it finds no row."""
    row = connection.execute(sql, parameters).fetchone()
    return row[0] if row else None
