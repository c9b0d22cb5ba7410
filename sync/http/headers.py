"""What both ends say in the headers of their answers: their clock, and how long to wait."""

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC, datetime


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """
    Return the host's own clock, in UTC. Return None when the `Date` header is missing or cannot be read.

    The header holds whole seconds, and the fraction is cut off.
    """
    try:
        return email.utils.parsedate_to_datetime(headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def retry_after_s(headers: Mapping[str, str], longest_s: float) -> float | None:
    """
    Return how many seconds the host asks to wait. Return None when it asks for nothing that makes sense.

    `Retry-After` holds seconds or a date. `X-RateLimit-Reset` is read as seconds when `Retry-After` is
    missing or makes no sense. A date is compared with the host's own clock where the host tells it.

    Args:
        headers: The headers of an answer, found in any case.
        longest_s: No host is believed about a longer wait.
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
