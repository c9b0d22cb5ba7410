"""The query of a request to the Public API: its parameters are read and judged."""

import base64
import binascii
import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from starlette.datastructures import QueryParams

from sandbox.segment.tally import GRANULES
from sandbox.timekeeping.instants import parse_instant

PAGE_MAX = 1000
# The reference gives no default; the real API's clients always send a count.
_PAGE_DEFAULT = 100
# Neither time may be closer to now.
_CLOSEST = timedelta(minutes=1)
# A series longer than this is refused. The reference gives no such limit for the volume.
_GRANULES_MAX = 10_000

# The delivery overview's limits: the longest range, and how far back it may start.
_OVERVIEW_LIMITS = {
    "MINUTE": (timedelta(hours=4), timedelta(hours=48)),
    "HOUR": (timedelta(days=14), timedelta(days=30)),
    "DAY": (timedelta(days=30), timedelta(days=30)),
}

# `sourceId.0`, and `sourceId[0]` as the npm SDK writes it; also `pagination.count`, `pagination[count]`.
_NAME = re.compile(r"(\w+)(?:\.(\w+)|\[(\w*)\])?")


class ProblemError(Exception):
    """An answer that is an error: its status, its type, and a message."""

    def __init__(self, status: int, type_: str, message: str) -> None:
        super().__init__(message)
        self.status, self.type, self.message = status, type_, message
        self.headers: dict[str, str] = {}


def invalid(message: str) -> ProblemError:
    """Return the answer to a request whose parameters are wrong."""
    return ProblemError(422, "validation-error", message)


class Page(NamedTuple):
    """Which part of a list is asked for."""

    offset: int
    size: int

    def of(self, rows: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return this part of *rows*, and the `pagination` that says what comes before and after it."""
        end = self.offset + self.size
        pagination: dict[str, Any] = {"current": _cursor(self.offset), "totalEntries": len(rows)}
        if end < len(rows):
            pagination["next"] = _cursor(end)
        if self.offset > 0:
            pagination["previous"] = _cursor(max(0, self.offset - self.size))
        return rows[self.offset : end], pagination


class Period(NamedTuple):
    """What a series covers: from `start` until before `end`."""

    granularity: str
    start: datetime
    end: datetime


class Query:
    """
    The parameters of one request.

    Args:
        params: As they were sent.
        known: The names that the call knows.
    Raises:
        ProblemError: A name is unknown, is written in an unknown way, or comes twice.
    """

    def __init__(self, params: QueryParams, known: set[str]) -> None:
        self._parts: dict[str, dict[str, str]] = {}
        for name, value in params.multi_items():
            match = _NAME.fullmatch(name)
            if match is None or match[1] not in known:
                raise invalid(f"unknown parameter {name}")
            parts = self._parts.setdefault(match[1], {})
            if (part := match[2] or match[3] or "") in parts:
                raise invalid(f"{name} is given twice")
            parts[part] = value

    def one(self, name: str) -> str:
        """Return the value of a plain parameter that must be there."""
        parts = self._parts.get(name, {})
        if set(parts) != {""} or not parts[""]:
            raise invalid(f"{name} is required")
        return parts[""]

    def many(self, name: str, allowed: set[str] | None = None) -> list[str]:
        """Return the values of a list: numbered parameters, from 0 on. Return an empty list without any."""
        parts = self._parts.get(name, {})
        if set(parts) != {str(number) for number in range(len(parts))}:
            raise invalid(f"{name} is a list: write {name}.0, {name}.1 and so on")
        values = [parts[str(number)] for number in range(len(parts))]
        if allowed is not None and not set(values) <= allowed:
            raise invalid(f"{name} must be some of {', '.join(sorted(allowed))}")
        return values

    def page(self) -> Page:
        """Return which part of a list is asked for."""
        parts = self._parts.get("pagination", {})
        if not set(parts) <= {"count", "cursor"}:
            raise invalid("pagination has a count and a cursor")
        count = parts.get("count", str(_PAGE_DEFAULT))
        if not count.isdecimal() or not 1 <= int(count) <= PAGE_MAX:
            raise invalid(f"pagination.count must be from 1 to {PAGE_MAX}")
        return Page(_offset(parts["cursor"]) if "cursor" in parts else 0, int(count))

    def period(self, now: datetime, *, is_overview: bool) -> Period:
        """
        Return what a series covers.

        Args:
            now: The present time.
            is_overview: Whether the delivery overview's limits hold. It also takes the names of granularities
                in lower case, as the npm SDK writes them there.
        """
        given = self.one("granularity")
        granularity = given.upper() if is_overview and given.islower() else given
        if granularity not in GRANULES:
            raise invalid("granularity must be DAY, HOUR or MINUTE")
        start, end = self._instant("startTime"), self._instant("endTime")
        if not start < end:
            raise invalid("startTime must be before endTime")
        if end > now - _CLOSEST:
            raise invalid("startTime and endTime must be at least a minute ago")
        if is_overview:
            longest, furthest = _OVERVIEW_LIMITS[granularity]
            if end - start > longest or start < now - furthest:
                raise invalid(f"with {granularity}, at most {longest} are shown, and {furthest} back")
        if (end - start) / GRANULES[granularity] > _GRANULES_MAX:
            raise invalid("the period is too long for this granularity")
        return Period(granularity, start, end)

    def _instant(self, name: str) -> datetime:
        found = parse_instant(self.one(name))
        if found is None:
            raise invalid(f"{name} must be an instant as ISO 8601 writes it")
        return found


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"at {offset}".encode()).decode()


def _offset(cursor: str) -> int:
    try:
        word, _, offset = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError):
        word, offset = "", ""
    if word != "at" or not offset.isdecimal():
        raise invalid("pagination.cursor is none that this list gave")
    return int(offset)
