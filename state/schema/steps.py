"""
The tables, views and indexes of the state file, as numbered steps that are only ever added.

Public (interface 4): people query these names. Every step runs in the one transaction that also records
it, so a file is at the old version or at the new one. `PRAGMA user_version` carries the number of steps,
so that an older release refuses a newer file before it touches it.
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("gladly-segment-sync")


@migrations()
def m001_tables(db: Database) -> None:
    """The tables of interface 4, and `customers`: who was merged away or deleted."""
    db.table("watermark").create({"feed": str, "position": str, "updated_at": str}, pk="feed")
    db.table("conversations").create(
        {
            "id": str,
            "customer_id": str,
            "status": str,
            "created_at": str,
            "closed_at": str,
            "updated_at": str,
        },
        pk="id",
        not_null=("customer_id", "status", "updated_at"),
    )
    db.table("events").create(
        {
            "message_id": str,
            "conversation_id": str,
            "customer_id": str,
            "transition": str,
            "event": str,
            "occurred_at": str,
            "status": str,
            "reason": str,
            "payload": str,
            "attempts": int,
            "created_at": str,
            "delivered_at": str,
        },
        pk="message_id",
        not_null=("conversation_id", "customer_id", "transition", "event", "occurred_at", "status"),
        defaults={"attempts": 0},
    )
    db.table("polls").create(
        {
            "id": int,
            "started_at": str,
            "finished_at": str,
            "window_start": str,
            "window_end": str,
            "changes": int,
            "created": int,
            "closed": int,
            "delivered": int,
            "requests": int,
            "outcome": str,
            "error": str,
        },
        pk="id",
    )
    db.table("seen_changes").create({"id": str, "recorded_at": str}, pk="id")
    db.table("quarantine").create(
        {"id": str, "seen_at": str, "source": str, "reason": str, "line": str}, pk="id"
    )
    db.table("customers").create(
        {
            "id": str,
            "merged_into": str,
            "merged_at": str,
            "deleted_at": str,
            "reason": str,
            "wiped_at": str,
        },
        pk="id",
    )


@migrations()
def m002_indexes(db: Database) -> None:
    """One index for every question a cycle asks, so that no cycle grows with the file."""
    for statement in (
        "CREATE INDEX conversations_by_customer ON conversations (customer_id)",
        "CREATE INDEX conversations_by_status ON conversations (status, updated_at)",
        "CREATE INDEX events_by_conversation ON events (conversation_id, occurred_at)",
        "CREATE INDEX events_by_customer ON events (customer_id)",
        "CREATE INDEX events_by_time ON events (occurred_at)",
        "CREATE INDEX events_by_status ON events (status, occurred_at)",
        "CREATE INDEX delivered_payloads ON events (delivered_at)"
        " WHERE status = 'delivered' AND payload IS NOT NULL",
        "CREATE INDEX seen_changes_by_time ON seen_changes (recorded_at)",
        "CREATE INDEX customers_to_wipe ON customers (deleted_at) WHERE wiped_at IS NULL",
        "CREATE INDEX customers_by_destination ON customers (merged_into) WHERE merged_into IS NOT NULL",
    ):
        db.execute(statement)


@migrations()
def m003_views(db: Database) -> None:
    """The questions people ask, as views."""
    db.create_view(
        "open_conversations",
        """
        SELECT id, customer_id, status, created_at, updated_at,
               round((julianday('now') - julianday(coalesce(created_at, updated_at))) * 24, 1) AS hours_open
        FROM conversations WHERE status IN ('OPEN', 'WAITING') ORDER BY updated_at
        """,
    )
    db.create_view(
        "needs_attention",
        """
        SELECT 'rejected event' AS what, message_id AS id, reason, occurred_at AS since,
               'gladly-segment retry ' || message_id AS command
        FROM events WHERE status = 'rejected'
        UNION ALL
        SELECT CASE WHEN reason LIKE 'gap: %' THEN 'gap' ELSE 'unreadable line' END, id, reason, seen_at,
               'SELECT line FROM quarantine WHERE id = ''' || id || ''''
        FROM quarantine
        """,
    )
    db.create_view(
        "daily_counts",
        """
        SELECT date(occurred_at) AS day, event, count(*) AS events,
               sum(status = 'delivered') AS delivered, sum(status = 'pending') AS pending,
               sum(status = 'rejected') AS rejected, sum(status = 'suppressed') AS suppressed
        FROM events GROUP BY day, event ORDER BY day DESC, event
        """,
    )
    db.create_view(
        "delivery_lag",
        """
        SELECT message_id, event, occurred_at, delivered_at,
               round((julianday(delivered_at) - julianday(occurred_at)) * 86400, 1) AS seconds
        FROM events WHERE delivered_at IS NOT NULL
        """,
    )


@migrations()
def m004_resyncs_and_reconciling(db: Database) -> None:
    """A resync remembers how far it came; a conversation, when it was last checked against Gladly."""
    db.table("resyncs").create(
        {
            "id": int,
            "since": str,
            "until": str,
            "position": str,
            "started_at": str,
            "finished_at": str,
        },
        pk="id",
        not_null=("since", "until", "position", "started_at"),
    )
    db.table("conversations").add_column("checked_at", str)
    db.execute("CREATE INDEX conversations_by_check ON conversations (checked_at)")


@migrations()
def m005_changes(db: Database) -> None:
    """Every change of a conversation, with what was decided and why: what `explain` shows."""
    db.table("changes").create(
        {
            "id": int,
            "conversation_id": str,
            "type": str,
            "recorded_at": str,
            "change_id": str,
            "status_before": str,
            "status_after": str,
            "transition": str,
            "why": str,
            "seen_at": str,
        },
        pk="id",
        not_null=("conversation_id", "type", "recorded_at"),
    )
    db.execute("CREATE UNIQUE INDEX changes_once ON changes (conversation_id, recorded_at, type)")


@migrations()
def m006_dismissed(db: Database) -> None:
    """What a person has seen of the quarantine is dismissed, and waits for nobody any more."""
    db.table("quarantine").add_column("dismissed_at", str)
    db.create_view(
        "needs_attention",
        """
        SELECT 'rejected event' AS what, message_id AS id, reason, occurred_at AS since,
               'gladly-segment retry ' || message_id AS command
        FROM events WHERE status = 'rejected'
        UNION ALL
        SELECT CASE WHEN reason LIKE 'gap: %' THEN 'gap' ELSE 'unreadable line' END, id,
               CASE WHEN reason LIKE 'gap: %' THEN substr(reason, 6) ELSE reason END, seen_at,
               'gladly-segment dismiss ' || id
        FROM quarantine WHERE dismissed_at IS NULL
        """,
        replace=True,
    )


@migrations()
def m007_changes_by_time(db: Database) -> None:
    """
    What makes a change unique, its time first: new ones then stand side by side, on a page or two a chunk,
    not on a page each. `explain` reads `changes` through, which holds a month.
    """
    db.execute("DROP INDEX changes_once")
    db.execute("CREATE UNIQUE INDEX changes_once ON changes (recorded_at, conversation_id, type)")


@migrations()
def m008_counts(db: Database) -> None:
    """
    How many events and conversations there are of each status, kept by the file itself, whoever writes:
    `status` and metrics ask often, and counting millions takes seconds where they are not in memory.
    """
    db.table("counts").create({"counted": str, "status": str, "n": int}, pk=("counted", "status"))
    for table, statuses in (
        ("events", ("pending", "delivered", "rejected", "suppressed")),
        ("conversations", ("OPEN", "WAITING", "CLOSED", "MERGED", "DELETED")),
    ):
        for status in statuses:
            # S608: constants of this function.
            of_status = f"SELECT count(*) FROM {table} WHERE status = ?"  # noqa: S608
            db.execute(f"INSERT INTO counts VALUES (?, ?, ({of_status}))", (table, status, status))  # noqa: S608
        # Plain updates of rows that are there: an upsert here would go by the outer statement's OR IGNORE.
        more = f"UPDATE counts SET n = n + 1 WHERE counted = '{table}' AND status = NEW.status;"  # noqa: S608
        less = f"UPDATE counts SET n = n - 1 WHERE counted = '{table}' AND status = OLD.status;"  # noqa: S608
        db.execute(f"CREATE TRIGGER {table}_come AFTER INSERT ON {table} BEGIN {more} END")
        db.execute(f"CREATE TRIGGER {table}_go AFTER DELETE ON {table} BEGIN {less} END")
        db.execute(
            f"CREATE TRIGGER {table}_change AFTER UPDATE OF status ON {table}"
            f" WHEN NEW.status <> OLD.status BEGIN {less} {more} END"
        )
