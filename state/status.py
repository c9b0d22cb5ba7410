"""What `status` says: where the sync stands and what needs a person, read from the state file alone."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from state.file import is_there
from state.instants import from_text, to_text
from state.reader import Reader

# Gladly's Events API reaches back 24 hours: a gap older than that is read from the report, day by day.
EVENTS_API_REACH_S = 86_400.0

# Gladly's default for an organization, all its integrations together (Gladly REST API, rate limit).
GLADLY_REQUESTS_PER_SECOND = 10.0


def empty_status() -> dict[str, Any]:
    """What `status` says before the first cycle has made a state file."""
    return {
        "watermark": None,
        "lag_seconds": None,
        "gap_seconds_left": None,
        "last_poll": None,
        "last_success": None,
        "oldest_pending_seconds": None,
        "events": dict.fromkeys(("pending", "delivered", "rejected", "suppressed"), 0),
        "conversations": dict.fromkeys(("open", "waiting", "closed", "merged", "deleted"), 0),
        "quarantined": 0,
        "requests_last_hour": 0,
        "rate_limit_share": 0.0,
        "needs_attention": [],
    }


def read_status(path: Path, now: datetime) -> dict[str, Any]:
    """
    Where the sync stands (interface 4).

    Raises:
        StateFileError: The file is not ours, or damaged. A missing one is an empty status.
    """
    if not is_there(path):
        return empty_status()
    with Reader(path) as reader:
        watermark = reader.watermark()
        position = watermark["position"] if watermark else None
        lag = _age(position, now)
        requests = reader.requests_since(to_text(now - timedelta(hours=1)))
        return {
            "watermark": position,
            "lag_seconds": lag,
            "gap_seconds_left": None if lag is None else max(0.0, EVENTS_API_REACH_S - lag),
            "last_poll": reader.last_poll(),
            "last_success": reader.last_success(),
            "oldest_pending_seconds": _age(reader.oldest_pending(), now),
            "events": reader.event_counts(),
            "conversations": reader.conversation_counts(),
            "quarantined": reader.quarantined(),
            "requests_last_hour": requests,
            "rate_limit_share": round(requests / 3_600 / GLADLY_REQUESTS_PER_SECOND, 4),
            "needs_attention": reader.needs_attention(),
        }


def is_behind(status: dict[str, Any], max_lag: timedelta) -> str | None:
    """Why a health check must fail: what is older than *max_lag*; None when nothing is."""
    limit = max_lag.total_seconds()
    if status["lag_seconds"] is None:
        return "no cycle has succeeded yet"
    if status["lag_seconds"] > limit:
        return "the watermark is too old"
    if (status["oldest_pending_seconds"] or 0.0) > limit:
        return "the oldest pending event has waited too long"
    return None


def _age(instant: str | None, now: datetime) -> float | None:
    return round((now - from_text(instant)).total_seconds(), 3) if instant else None
