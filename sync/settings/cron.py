"""
Cron: a line as crontab(5) writes it becomes APScheduler triggers.

APScheduler counts the days of the week from Monday and requires both day fields to match. crontab(5) counts
them from Sunday, which is 0 and 7. It requires one of the two day fields to match when both are restricted.
A field that begins with `*` restricts nothing.
"""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_FIELDS = ("minute", "hour", "day", "month", "day_of_week")

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_DAY = "[0-7]|[a-z]{3}"
_PART = re.compile(rf"(?:\*|(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?)(?:/(?P<step>[0-9]{{1,2}}))?")


def crontab_triggers(line: str) -> "tuple[CronTrigger, ...]":
    """
    Return the triggers of a crontab line of five fields. A cycle is due when one of them is.

    All times are in UTC, whatever zone the host is in. The result is empty when no date ever matches.

    Raises:
        ValueError: The line is not such a line.
    """
    values = line.split()
    if len(values) != len(_FIELDS):
        raise ValueError(f"Wrong number of fields; got {len(values)}, expected {len(_FIELDS)}")
    fields = dict(zip(_FIELDS, values, strict=True))
    weekdays = _weekdays(fields["day_of_week"])
    if fields["day"].startswith("*") or fields["day_of_week"].startswith("*"):
        choices = [{**fields, "day_of_week": weekdays}]
    else:
        choices = [{**fields, "day_of_week": "*"}, {**fields, "day": "*", "day_of_week": weekdays}]
    return tuple(_trigger(choice) for choice in choices if _has_a_date(choice))


def _trigger(fields: dict[str, str], **limits: datetime) -> "CronTrigger":
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger(**fields, **limits, timezone=UTC)


def _has_a_date(fields: dict[str, str]) -> bool:
    """
    Return whether a date has such a month and such a day.

    A leap year has every date. Each date falls on each day of the week in one year or another.
    """
    leap_year = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 12, 31, 23, 59, tzinfo=UTC)
    trigger = _trigger({**fields, "day_of_week": "*"}, start_date=leap_year[0], end_date=leap_year[1])
    return trigger.get_next_fire_time(None, leap_year[0]) is not None


def _weekdays(field: str) -> str:
    """Return the days of the week as names, with which APScheduler and crontab mean the same."""
    numbers: set[int] = set()
    for part in field.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None or (match["step"] and match["first"] and not match["last"]):
            raise ValueError(f"{part!r} is not a day of the week; write 0 to 7, sun to sat, or a range")
        first, last = 0, 6
        if match["first"]:
            first = _weekday(match["first"])
            last = _weekday(match["last"]) if match["last"] else first
            if match["last"] == "sun":
                last = 7  # "sat-sun" ends with the week
        step = int(match["step"] or 1)
        if last < first or step == 0:
            raise ValueError(f"{part!r} is not a range of days of the week; Sunday is 0 or 7")
        numbers.update(number % 7 for number in range(first, last + 1, step))
    return ",".join(_WEEKDAYS[number] for number in sorted(numbers))


def _weekday(written: str) -> int:
    if written.isdecimal():
        return int(written)
    if written not in _WEEKDAYS:
        raise ValueError(f"{written!r} is not a day of the week; write 0 to 7, or sun to sat")
    return _WEEKDAYS.index(written)
