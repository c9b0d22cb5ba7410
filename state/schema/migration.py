"""Brings an open state file to a schema, and makes an empty one in memory."""

import sqlite3

from sqlite_utils import Database, Migrations

from state.failpoints import failpoint
from state.schema.version import APPLICATION_ID, CURRENT, Schema


def migrate(connection: sqlite3.Connection, schema: Schema = CURRENT) -> None:
    """
    Run the steps that the file has not had, in one transaction. Write nothing to a file that has had all.

    The transaction also records the steps and the version, so the file is at its old version or at the new
    one, also after a crash.

    Args:
        connection: In autocommit mode. The caller has made sure that the file is empty or ours, that it is
            not of a newer version, and that nobody else writes.
        schema: The schema to bring the file to.
    """
    if connection.execute("PRAGMA user_version").fetchone()[0] == schema.version:
        return
    migrations = Migrations("gladly-segment-sync")
    for step in schema.steps():
        migrations(name=step.__name__)(step)
    connection.execute("BEGIN IMMEDIATE")
    try:
        failpoint("migrate.begin")
        migrations.apply(Database(connection, execute_plugins=False))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema.version}")
        failpoint("migrate.commit")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def empty_state() -> sqlite3.Connection:
    """
    Return a state file in memory that has all tables and no rows.

    It stands in for a file that does not exist yet, or whose creation was cut short and which has no tables
    for that reason. Every question can be asked of it, from any thread.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(connection)
    return connection
