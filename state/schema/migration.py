"""Brings a state file to the schema of this release."""

from sqlite_utils import Database

from state.failpoints import failpoint
from state.schema.steps import migrations
from state.schema.version import APPLICATION_ID, SCHEMA_VERSION


def migrate(db: Database) -> None:
    """
    Bring the file to this release's schema, in one transaction; a file already there is not written.

    The caller has made sure that the file is empty or ours, and holds the writer's lock.
    """
    if db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        failpoint("migrate.begin")
        migrations.apply(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        failpoint("migrate.commit")
        db.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")
        raise
