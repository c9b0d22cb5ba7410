"""
Defines the steps that give a state file its schema. Steps are only ever added: each release adds its own.

The tables, columns and views are public (interface 4): people query these names. A step must not change what
an earlier one made in a way that breaks their queries.
"""

from collections.abc import Callable

from sqlite_utils import Database

from state.schema.attention import NEEDS_ATTENTION

Step = Callable[[Database], None]

_STATUSES = {
    "events": ("pending", "delivered", "rejected", "suppressed"),
    "conversations": ("OPEN", "WAITING", "CLOSED", "MERGED", "DELETED"),
}


def m001_first_release(db: Database) -> None:
    """Create the tables of interface 4, others that the sync needs, and views that answer what people ask."""
    _create_tables(db)
    _create_indexes(db)
    _create_views(db)
    _create_counts(db)


def m002_three_stages(db: Database) -> None:
    """
    Record, look up and deliver are three stages (semantics 2.4): an event may be recorded and not looked up.

    `events` keeps what the change itself carried, and when a look-up that failed is made again.
    """
    for column in ("waits_for", "next_attempt_at", "agent_id"):
        db.execute(f"ALTER TABLE events ADD COLUMN {column} TEXT")
    # What was added and removed since the creation, where all of it was seen: what a close needs (2.6).
    db.execute("ALTER TABLE conversations ADD COLUMN topic_changes TEXT")
    # A close that was taken for another one may turn out to be its own (semantics 2.0.1).
    db.execute("ALTER TABLE changes ADD COLUMN agent_id TEXT")
    # What Gladly has answered with 404 once. The second time, a minute or more later, it is believed.
    db.execute("CREATE TABLE not_found (kind TEXT, id TEXT, seen_at TEXT NOT NULL, PRIMARY KEY (kind, id))")
    # The one organization whose state this is, and the write key that the message ids are made with.
    db.execute("CREATE TABLE organization (host TEXT PRIMARY KEY, write_key_fingerprint TEXT)")
    # When each receiver, which is a write key at an address, last took events. Only there is a refusal blamed
    # on an event (semantics 4.4). The id holds the key's fingerprint.
    db.execute("CREATE TABLE receivers (id TEXT PRIMARY KEY, accepted_at TEXT NOT NULL)")
    # When the file was found to be a copy of an earlier state, and the watermark that the copy had.
    db.execute("CREATE TABLE restores (id INTEGER PRIMARY KEY, found_at TEXT NOT NULL, position TEXT)")
    # The figures of the cycles whose rows in `polls` have been forgotten, by the UTC day on which they began.
    db.table("poll_days").create(
        {
            "day": str,
            "cycles": int,
            "degraded": int,
            "failed": int,
            "changes": int,
            "created": int,
            "closed": int,
            "delivered": int,
            "requests": int,
        },
        pk="day",
    )
    db.execute("INSERT INTO counts VALUES ('events', 'recorded', 0)")
    db.execute("CREATE INDEX held_events ON events (next_attempt_at) WHERE next_attempt_at IS NOT NULL")
    _replace_views(db)


def m003_proof(db: Database) -> None:
    """
    Keep what a second source says (semantics 6), and what is wrong now, for those who only read the file.

    `audits` has a row for each past day that was audited. `conditions` has a row for each thing that is wrong
    and goes on, for as long as it does: an end that refuses its credentials, a silent feed, a full disk.
    `feed_hours` counts the changes that the feed showed in each hour of UTC (semantics 6.4). An hour has a
    row when the feed was watched from its beginning on. `schedules` says how often a cycle is expected.
    """
    db.table("audits").create(
        {
            "day": str,
            "audited_at": str,
            "reported": int,
            "known": int,
            "missing": int,
            "delivered": int,
            "received": int,
            "dropped": int,
            "outcome": str,
            "note": str,
            "dismissed_at": str,
        },
        pk="day",
        not_null=("audited_at", "outcome"),
    )
    db.execute(
        "CREATE TABLE conditions (id TEXT PRIMARY KEY, what TEXT NOT NULL, reason TEXT NOT NULL,"
        " since TEXT NOT NULL, command TEXT NOT NULL)"
    )
    db.execute("CREATE TABLE feed_hours (hour TEXT PRIMARY KEY, changes INTEGER NOT NULL)")
    db.execute(
        "CREATE TABLE schedules (role TEXT PRIMARY KEY, every_s REAL NOT NULL, updated_at TEXT NOT NULL)"
    )
    # What an event is sent as: a track event, or an identify call that follows one (semantics 1.4).
    db.execute("ALTER TABLE events ADD COLUMN type TEXT NOT NULL DEFAULT 'track'")
    # What was delivered on a day is counted once a day, and must not read a file of gigabytes for it.
    db.execute(
        "CREATE INDEX events_by_delivery ON events (delivered_at, event, status, type)"
        " WHERE delivered_at IS NOT NULL"
    )
    # Since when this file has followed its organization: days before it are not the audit's business.
    db.execute("ALTER TABLE organization ADD COLUMN began_at TEXT")
    db.execute("CREATE INDEX quarantine_to_see ON quarantine (seen_at) WHERE dismissed_at IS NULL")
    db.create_view("needs_attention", NEEDS_ATTENTION, replace=True)


# All steps, in order. A file's version (PRAGMA user_version) is how many of them it has had.
STEPS: tuple[Step, ...] = (m001_first_release, m002_three_stages, m003_proof)


def _create_tables(db: Database) -> None:
    db.table("watermark").create({"feed": str, "position": str, "updated_at": str}, pk="feed")
    db.table("conversations").create(
        {
            "id": str,
            "customer_id": str,
            "status": str,
            "created_at": str,
            "closed_at": str,
            "updated_at": str,
            "checked_at": str,
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
    # Every change of a conversation, with what was decided and why: `explain` shows it.
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
        {"id": str, "seen_at": str, "source": str, "reason": str, "line": str, "dismissed_at": str}, pk="id"
    )
    # The customers who were merged into others or deleted. Nobody else is here.
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
    # A resync remembers how far it came.
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


def _create_indexes(db: Database) -> None:
    """Create an index for every question that a cycle asks, so that no cycle slows down as the file grows."""
    for statement in (
        "CREATE INDEX conversations_by_customer ON conversations (customer_id)",
        "CREATE INDEX conversations_by_status ON conversations (status, updated_at)",
        "CREATE INDEX conversations_by_check ON conversations (checked_at)",
        "CREATE INDEX events_by_conversation ON events (conversation_id, occurred_at)",
        "CREATE INDEX events_by_customer ON events (customer_id)",
        "CREATE INDEX events_by_time ON events (occurred_at)",
        "CREATE INDEX events_by_status ON events (status, occurred_at)",
        "CREATE INDEX delivered_payloads ON events (delivered_at)"
        " WHERE status = 'delivered' AND payload IS NOT NULL",
        # The time comes first. So the new changes of a chunk stand side by side on one or two pages, and not
        # each on its own. In return `explain` reads the whole of `changes`, which holds a month.
        "CREATE UNIQUE INDEX changes_once ON changes (recorded_at, conversation_id, type)",
        "CREATE INDEX seen_changes_by_time ON seen_changes (recorded_at)",
        "CREATE INDEX customers_to_wipe ON customers (deleted_at) WHERE wiped_at IS NULL",
        "CREATE INDEX customers_by_destination ON customers (merged_into) WHERE merged_into IS NOT NULL",
    ):
        db.execute(statement)


def _create_views(db: Database) -> None:
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
        SELECT CASE WHEN reason LIKE 'gap: %' THEN 'gap' ELSE 'unreadable line' END, id,
               CASE WHEN reason LIKE 'gap: %' THEN substr(reason, 6) ELSE reason END, seen_at,
               'gladly-segment dismiss ' || id
        FROM quarantine WHERE dismissed_at IS NULL
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


def _replace_views(db: Database) -> None:
    """Let the views know the events that are recorded and not looked up yet."""
    db.create_view(
        "needs_attention",
        """
        SELECT 'rejected event' AS what, message_id AS id, reason, occurred_at AS since,
               'gladly-segment retry ' || message_id AS command
        FROM events WHERE status = 'rejected'
        UNION ALL
        SELECT 'held back event', message_id,
               coalesce(reason, 'Gladly has not answered yet') || ' To give it up: gladly-segment dismiss '
               || message_id,
               created_at, 'gladly-segment retry ' || message_id
        FROM events WHERE next_attempt_at IS NOT NULL AND status = 'recorded'
             AND created_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')
        UNION ALL
        SELECT CASE WHEN reason LIKE 'gap: %' THEN 'gap' ELSE 'unreadable line' END, id,
               CASE WHEN reason LIKE 'gap: %' THEN substr(reason, 6) ELSE reason END, seen_at,
               'gladly-segment dismiss ' || id
        FROM quarantine WHERE dismissed_at IS NULL
        """,
        replace=True,
    )
    db.create_view(
        "daily_counts",
        """
        SELECT date(occurred_at) AS day, event, count(*) AS events,
               sum(status = 'delivered') AS delivered, sum(status = 'pending') AS pending,
               sum(status = 'rejected') AS rejected, sum(status = 'suppressed') AS suppressed,
               sum(status = 'recorded') AS recorded
        FROM events GROUP BY day, event ORDER BY day DESC, event
        """,
        replace=True,
    )


def _create_counts(db: Database) -> None:
    """
    Create `counts`: how many events and conversations there are of each status.

    Triggers keep it right, whoever writes. `status` and metrics ask often, and counting millions of rows
    takes seconds where the rows are not in memory.
    """
    db.table("counts").create({"counted": str, "status": str, "n": int}, pk=("counted", "status"))
    for table, statuses in _STATUSES.items():
        for status in statuses:
            db.execute("INSERT INTO counts VALUES (?, ?, 0)", (table, status))
        # S608: the names are constants of this module. Plain updates of rows that are there: an upsert here
        # would obey the OR IGNORE of the statement that fired the trigger.
        more = f"UPDATE counts SET n = n + 1 WHERE counted = '{table}' AND status = NEW.status;"  # noqa: S608
        less = f"UPDATE counts SET n = n - 1 WHERE counted = '{table}' AND status = OLD.status;"  # noqa: S608
        db.execute(f"CREATE TRIGGER {table}_come AFTER INSERT ON {table} BEGIN {more} END")
        db.execute(f"CREATE TRIGGER {table}_go AFTER DELETE ON {table} BEGIN {less} END")
        db.execute(
            f"CREATE TRIGGER {table}_change AFTER UPDATE OF status ON {table}"
            f" WHEN NEW.status <> OLD.status BEGIN {less} {more} END"
        )
