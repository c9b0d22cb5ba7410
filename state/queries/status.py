"""Reads what `status` says from the state file alone: where the sync stands and what needs a person."""

import sqlite3
from datetime import datetime, timedelta

from state.instants import from_text, to_text
from state.queries.attention import attention, quarantined
from state.queries.audits import proved_until
from state.queries.counts import (
    CONVERSATION_STATUSES,
    EVENT_STATUSES,
    conversation_counts,
    event_counts,
    oldest_pending,
)
from state.queries.cycles import last_poll, last_success, requests_since, watermark
from state.queries.rows import Row
from state.queries.schedules import expected_cycles

# Gladly's Events API reaches back 24 hours (Gladly REST API, Events). Older changes are read from Gladly's
# report, day by day.
EVENTS_API_REACH_S = 86_400.0

# Gladly's default for an organization, all its integrations together (Gladly REST API, Rate Limits).
GLADLY_REQUESTS_PER_SECOND = 10.0


def status(connection: sqlite3.Connection, now: datetime, attention_limit: int | None = 10) -> Row:
    """
    Return where the sync stands, with the keys of `status --json` (interface 4).

    `lag_seconds` is the age of the watermark. `gap_seconds_left` is the time until the watermark is older
    than the Events API reaches. `rate_limit_share` is the last hour's requests as a share of what Gladly
    allows. The other figures are defined by the questions of this package.

    Args:
        connection: The state file.
        now: The instant from which ages count.
        attention_limit: How many groups of things that need a person to return at most (`attention`).
            None returns all.
    """
    needs = attention(connection, attention_limit)
    mark = watermark(connection)
    position = mark["position"] if mark else None
    lag = _age(position, now)
    requests = requests_since(connection, to_text(now - timedelta(hours=1)))
    return {
        "watermark": position,
        "lag_seconds": lag,
        "gap_seconds_left": None if lag is None else max(0.0, EVENTS_API_REACH_S - lag),
        "last_poll": last_poll(connection),
        "last_success": last_success(connection),
        "expected_cycles": expected_cycles(connection),
        "oldest_pending_seconds": _age(oldest_pending(connection), now),
        "events": event_counts(connection),
        "conversations": conversation_counts(connection),
        "proved_until": proved_until(connection),
        "quarantined": quarantined(connection),
        "requests_last_hour": requests,
        "rate_limit_share": round(requests / 3_600 / GLADLY_REQUESTS_PER_SECOND, 4),
        "needs_attention": needs.groups,
        "needs_attention_more": needs.more,
        "needs_attention_total": needs.total,
    }


def empty_status() -> Row:
    """
    Return what `status` says of an empty state file, for use before the first cycle creates the file.

    `daemon` is part of it: nobody runs cycles.
    """
    return {
        "watermark": None,
        "lag_seconds": None,
        "gap_seconds_left": None,
        "last_poll": None,
        "last_success": None,
        "expected_cycles": None,
        "oldest_pending_seconds": None,
        "events": dict.fromkeys(EVENT_STATUSES, 0),
        "conversations": dict.fromkeys(CONVERSATION_STATUSES, 0),
        "proved_until": None,
        "quarantined": 0,
        "requests_last_hour": 0,
        "rate_limit_share": 0.0,
        "needs_attention": [],
        "needs_attention_more": {},
        "needs_attention_total": 0,
        "daemon": {"running": False, "pid": None},
    }


def is_behind(found: Row, max_lag: timedelta) -> str | None:
    """
    Return why a health check must fail. Return None when nothing is older than allowed.

    Args:
        found: What `status` returned.
        max_lag: How old the watermark and the oldest pending event may be.
    """
    limit = max_lag.total_seconds()
    if found["lag_seconds"] is None:
        return "no cycle has succeeded yet"
    if found["lag_seconds"] > limit:
        return "the watermark is too old"
    if (found["oldest_pending_seconds"] or 0.0) > limit:
        return "the oldest pending event has waited too long"
    return None


def _age(instant: str | None, now: datetime) -> float | None:
    return round((now - from_text(instant)).total_seconds(), 3) if instant else None
