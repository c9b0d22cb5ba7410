"""A request for a report, read and checked."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

CONVERSATION_TIMESTAMPS = "ConversationTimestampsReport"
CONVERSATION_EXPORT = "ConversationExportReport"
# Gladly has more metric sets. The sandbox has these.
METRIC_SETS = [CONVERSATION_TIMESTAMPS, CONVERSATION_EXPORT]


class BadReportRequest(Exception):  # noqa: N818  # a refusal with Gladly's own words, not a failure
    """
    Gladly does not accept the request's JSON.

    Attributes:
        attr, code, detail: What Gladly's error object says.
    """

    def __init__(self, attr: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.attr, self.code, self.detail = attr, code, detail


@dataclass(frozen=True)
class ReportRequest:
    """A `POST /reports` that can be answered. Both days are whole days in `zone`, and both are included."""

    metric_set: str
    zone: tzinfo
    zone_name: str
    first_day: date
    last_day: date

    @classmethod
    def read(cls, body: bytes, organization_timezone: str) -> "ReportRequest":
        """
        Read the request's body.

        Args:
            body: The body as it was sent.
            organization_timezone: The timezone of the days when the body names none.
        Raises:
            BadReportRequest: The body is not a JSON object, or a metric set, timezone or date in it is wrong.
        """
        try:
            wanted = msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise BadReportRequest("", "invalid", "the body is not JSON") from None
        if not isinstance(wanted, dict):
            raise BadReportRequest("", "invalid", "the body is not a JSON object")
        for attr in ("metricSet", "startAt", "endAt"):
            if not wanted.get(attr):
                raise BadReportRequest(attr, "blank", f"{attr} is required")
        if wanted["metricSet"] not in METRIC_SETS:
            raise BadReportRequest("metricSet", "invalid", f"unknown metric set {wanted['metricSet']!r}")
        zone_name = wanted.get("timezone", organization_timezone)
        first, last = _day(wanted, "startAt"), _day(wanted, "endAt")
        if last < first:
            raise BadReportRequest("endAt", "invalid", "endAt must not be before startAt")
        return cls(wanted["metricSet"], _zone(zone_name), zone_name, first, last)

    @property
    def start(self) -> datetime:
        """The first moment of the first day."""
        return datetime.combine(self.first_day, time(), self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first moment after the last day."""
        return datetime.combine(self.last_day + timedelta(days=1), time(), self.zone).astimezone(UTC)


def _day(wanted: dict[str, Any], attr: str) -> date:
    try:
        return datetime.strptime(wanted[attr], "%Y-%m-%d").date()  # noqa: DTZ007  # a day, of whatever zone
    except (TypeError, ValueError):
        raise BadReportRequest(attr, "invalid", f"{attr} must be a date like 2026-11-01") from None


def _zone(name: Any) -> tzinfo:
    if name in ("UTC", "Etc/UTC", "GMT"):
        return UTC  # works without an installed timezone database, too
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        raise BadReportRequest("timezone", "invalid", f"unknown timezone {name!r}") from None
