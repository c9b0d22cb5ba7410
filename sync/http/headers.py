"""
Read three things from the headers of an answer: the host's clock, how long it asks to wait, and what is left
of a rate limit.
"""

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC, datetime


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """
    Return the host's own clock, in UTC. Return None when the `Date` header is missing or cannot be read.

    The header holds whole seconds. The host has cut the fraction off.
    """
    try:
        return email.utils.parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def retry_after_s(headers: Mapping[str, str], longest_s: float) -> float | None:
    """
    Return how many seconds the host asks to wait. Return None when no header says so.

    `Retry-After` holds seconds or a date. `X-RateLimit-Reset` is read when `Retry-After` is missing or cannot
    be used. A date is compared with the host's own clock, or with ours when the host does not tell its clock.

    Args:
        headers: The headers of an answer. Their names are found in any case.
        longest_s: The longest wait that is returned, in seconds.
    """
    for name in ("Retry-After", "X-RateLimit-Reset"):
        text = headers.get(name, "").strip()
        try:
            seconds = float(text)
        except ValueError:
            try:
                then = email.utils.parsedate_to_datetime(text)
                seconds = (then - (server_date(headers) or datetime.now(UTC))).total_seconds()
            except (ValueError, TypeError, OverflowError):
                continue
        if 0 <= seconds < math.inf:
            return min(seconds, longest_s)
    return None


def left_of_a_second(headers: Mapping[str, str]) -> float | None:
    """
    Return which share of the requests of a second is left. Return None when no header says so.

    `Ratelimit-Remaining-Second` is held against `Ratelimit-Limit-Second` (Gladly REST API, Rate Limits).
    """
    try:
        left, limit = (float(headers[f"Ratelimit-{name}-Second"]) for name in ("Remaining", "Limit"))
    except (KeyError, ValueError):
        return None
    return left / limit if 0 <= left <= limit and limit > 0 else None
