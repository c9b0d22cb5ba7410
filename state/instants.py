"""
Reads and writes instants and durations, for people and for files. It imports no other room and no SQL.

In the state file an instant is ISO 8601 text in UTC with milliseconds and `Z`. So instants sort as text, and
SQLite's date functions read them (interface 4). In Python an instant is an aware UTC `datetime`.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UTC = re.compile(r" *(?:UTC|GMT|Z)$")
_LEAP_SECOND = re.compile(r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d):60")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

# A hundred years. Nothing that a person sets takes longer, and before or after any date on which this runs
# such a time is still inside the calendar.
LONGEST_DURATION = timedelta(days=36_500)

# Gladly has no changes that are older.
EARLIEST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the local clock's time, aware and in UTC. Only Gladly's clock decides what has been read."""
    return datetime.now(UTC)


def to_text(instant: datetime) -> str:
    """Write an instant as `2026-11-20T08:00:00.000Z`. What is finer than a millisecond is cut off."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> datetime:
    """
    Read an RFC 3339 instant with 0 to 9 fractional digits and `Z` or an offset. No zone means UTC.

    Other forms are read where they can mean one instant only: `t` and `z`, ` UTC` or ` GMT` for `Z`, and a
    leap second (`:60`), which is the second after it.

    Raises:
        ValueError: *text* is not an instant, or lies outside the calendar once it is in UTC.
    """
    leap_s = 0
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        plain = _UTC.sub("Z", text.strip().upper())
        try:
            instant = datetime.fromisoformat(_LEAP_SECOND.sub(r"\1:59", plain))
        except ValueError:
            raise error from None
        leap_s = 1 if _LEAP_SECOND.match(plain) else 0
    try:
        in_utc = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        return in_utc + timedelta(seconds=leap_s) if leap_s else in_utc
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the calendar, which has the years 1 to 9999") from error


def parse_duration(text: str) -> timedelta:
    """
    Read a duration as settings write it: `90s`, `15m`, `36h`, `7d` (interface 2).

    Raises:
        ValueError: *text* is not a duration, or it is longer than `LONGEST_DURATION`. The message says which.
    """
    if not (match := _DURATION.fullmatch(text.strip())):
        raise ValueError(f"{text!r} is not a duration; write it like 90s, 15m, 36h or 7d")
    with suppress(OverflowError):
        duration = timedelta(**{_UNITS[match[2]]: float(match[1])})
        if duration <= LONGEST_DURATION:
            return duration
    raise ValueError(f"{text!r} is too long; the longest duration is {LONGEST_DURATION.days}d")


def is_age(text: str) -> bool:
    """Return whether an INSTANT is an age such as `36h`, which needs to know the present."""
    return _DURATION.fullmatch(text.strip()) is not None


def parse_instant(text: str, now: datetime) -> datetime:
    """
    Read an INSTANT (interface 2): ISO 8601, or an age before *now* such as `36h`.

    Raises:
        ValueError: *text* is neither, or it is before `EARLIEST_INSTANT`. The message says which.
    """
    stripped = text.strip()
    is_age = _DURATION.fullmatch(stripped) is not None
    if is_age:
        instant = now - parse_duration(stripped)
    else:
        try:
            instant = from_text(stripped)
        except ValueError:
            raise ValueError(
                f"{text!r} is not an instant; write 2026-11-20, 2026-11-20T08:00Z or an age: 15m, 36h, 7d"
            ) from None
    # A clock that was never set says 1970. An age is no mistake for that.
    if instant < EARLIEST_INSTANT and not (is_age and now < EARLIEST_INSTANT):
        raise ValueError(f"{text!r} is before the year {EARLIEST_INSTANT.year}; Gladly has nothing that old")
    return instant


def short_duration(seconds: float) -> str:
    """Write a duration for people, in its two largest units: `45s`, `12m 5s`, `23h 10m`, `3d 4h`."""
    sign, left = ("-" if seconds < 0 else ""), round(abs(seconds))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + (" ".join(parts[:2]) or "0s")
