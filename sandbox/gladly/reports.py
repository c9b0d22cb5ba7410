"""Gladly's reports on conversations, as CSV: the same events as the feed's, of any age."""

import csv
import io
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sandbox.world.records import Assignee, Change, Conversation, ConversationVersion
from sandbox.world.world import World

# The columns as harrystech/tap-gladly's schema lists them.
TIMESTAMPS_COLUMNS = (
    "Timezone Filter",
    "Timestamp",
    "Event Type",
    "Conversation ID",
    "Customer ID",
    "Initiator Type",
    "Initiator ID",
    "Initiator Agent Name",
    "Assigned Inbox ID",
    "Assigned Inbox Name",
    "Assigned Agent ID",
    "Assigned Agent Name",
    "Topic ID",
    "Topic Name",
    "Newly Assigned Inbox ID",
    "Newly Assigned Inbox Name",
    "Newly Assigned Agent ID",
    "Newly Assigned Agent Name",
    "Assignment Update Reason",
    "Merged Customer ID",
    "Merged Conversation ID",
)

# Those PostHog's warehouse source is tested with come first in meaning: creation, ids, status, closes.
EXPORT_COLUMNS = (
    "Timezone Filter",
    "Created At",
    "Conversation ID",
    "Customer ID",
    "Status",
    "First Closed At",
    "Last Closed At",
    "Inbox ID - Current",
    "Inbox Name - Current",
    "Assigned Agent ID - Current",
    "Assigned Agent Name - Current",
    "Inbox ID - Creation",
    "Inbox Name - Creation",
    "Topics",
)

# How the report names a change of the feed; what is missing here has no row.
_ROW_TYPES = {
    "CONVERSATION/CREATED": "CONVERSATION/CREATED",
    "CONVERSATION/CLOSED": "CONVERSATION/CLOSED",
    "CONVERSATION/REOPENED": "CONVERSATION/REOPENED",
    "CONVERSATION/TOPIC_ADDED": "CONVERSATION/TOPIC_ADDED",
    "CONVERSATION/TOPIC_REMOVED": "CONVERSATION/TOPIC_REMOVED",
    "CONVERSATION/NOTE_CREATED": "NOTE/CREATED",
    "CONVERSATION_ASSIGNEE/UPDATED": "CONVERSATION_ASSIGNEE/UPDATED",
    "CUSTOMER/MERGED": "CUSTOMER/MERGED",
}

_ROWS_A_PIECE = 500


class BadReportRequest(Exception):  # noqa: N818  # a refusal with Gladly's own words, not a failure
    """The request's JSON is not one Gladly takes; the three words of its error object."""

    def __init__(self, attr: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.attr, self.code, self.detail = attr, code, detail


@dataclass(frozen=True)
class ReportRequest:
    """A `POST /reports` that can be answered. Both days are whole days of `zone`, both included."""

    metric_set: str
    zone: tzinfo
    zone_name: str
    first_day: date
    last_day: date

    @classmethod
    def read(cls, body: bytes, organization_timezone: str) -> "ReportRequest":
        """
        Read the request's body. Without a `timezone`, days are the organization's.

        Raises:
            BadReportRequest: It names an unknown metric set or timezone, or dates that are none.
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
        if wanted["metricSet"] not in list(_REPORTS):
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


def csv_lines(
    world: World, wanted: ReportRequest, *, row_cap: int, lateness_s: float, shuffled: bool
) -> Iterable[bytes]:
    """
    Write the report in pieces of whole rows; nothing at all where it has none.

    Args:
        row_cap: Rows beyond it, the latest ones, are missing without a word.
        lateness_s: Whatever was recorded in these last world seconds is not in the report yet.
        shuffled: Put the rows out of order, the same way each time.
    """
    ready_until = min(wanted.end, world.clock.now() - timedelta(seconds=lateness_s))
    columns, rows_of = _REPORTS[wanted.metric_set]
    with world.lock:
        rows = rows_of(world, wanted, ready_until, row_cap)
    if shuffled:
        random.Random(world.seed).shuffle(rows)  # noqa: S311  # an order, not a secret
    return _written(columns, rows)


def _written(columns: tuple[str, ...], rows: list[list[str]]) -> Iterator[bytes]:
    for first in range(0, len(rows), _ROWS_A_PIECE):
        piece = io.StringIO(newline="")
        writer = csv.writer(piece, lineterminator="\n")
        if first == 0:
            writer.writerow(columns)
        writer.writerows(rows[first : first + _ROWS_A_PIECE])
        yield piece.getvalue().encode()


def _timestamps_rows(
    world: World, wanted: ReportRequest, ready_until: datetime, row_cap: int
) -> list[list[str]]:
    changes = (change for change in world.between(wanted.start, ready_until) if change.type in _ROW_TYPES)
    return [_timestamps_row(world, wanted, change) for change in itertools.islice(changes, row_cap)]


def _timestamps_row(world: World, wanted: ReportRequest, change: Change) -> list[str]:
    content = change.detail or {}
    merged = change.type == "CUSTOMER/MERGED"
    initiator = change.initiator
    topic = world.topics.get(content.get("topicId", ""))
    newly = content.get("assignee", {})
    customer_id = content["destinationCustomerId"] if merged else change.customer_id
    conversation_id = content.get("destinationConversationId") if merged else change.conversation_id
    return [
        wanted.zone_name,
        _written_time(change.timestamp, wanted.zone),
        _ROW_TYPES[change.type],
        conversation_id or "",
        customer_id or "",
        initiator.type if initiator else "",
        initiator.id if initiator else "",
        _agent_name(world, initiator.id if initiator else None),
        *_assignee(world, change.before),
        content.get("topicId", ""),
        topic.name if topic else "",
        newly.get("inboxId", ""),
        _inbox_name(world, newly.get("inboxId")),
        newly.get("agentId", ""),
        _agent_name(world, newly.get("agentId")),
        content.get("reason", ""),
        content.get("sourceCustomerId", ""),
        content.get("sourceConversationId", ""),
    ]


def _export_rows(world: World, wanted: ReportRequest, ready_until: datetime, row_cap: int) -> list[list[str]]:
    # A row shows its conversation as it stands; only its creation decides whether it is there.
    talks = [
        talk
        for talk in world.conversations.values()
        if wanted.start <= talk.created_at < ready_until and talk.gone != "deleted"
    ]
    talks.sort(key=lambda talk: talk.created_at)
    return [_export_row(world, wanted, talk) for talk in talks[:row_cap]]


def _export_row(world: World, wanted: ReportRequest, talk: Conversation) -> list[str]:
    versions = talk.versions
    closes = [later.at for earlier, later in itertools.pairwise(versions) if _closes(earlier, later)]
    status = "MERGED" if talk.gone == "merged" else "CLOSED" if talk.status == "CLOSED" else "OPEN"
    return [
        wanted.zone_name,
        _written_time(talk.created_at, wanted.zone),
        talk.id,
        talk.customer_id,
        status,
        _written_time(closes[0], wanted.zone) if closes else "",
        _written_time(closes[-1], wanted.zone) if closes else "",
        *_assignee(world, talk.now.assignee),
        versions[0].assignee.inbox_id,
        _inbox_name(world, versions[0].assignee.inbox_id),
        ";".join(world.topics[id].name if id in world.topics else id for id in talk.topic_ids),
    ]


def _closes(earlier: ConversationVersion, later: ConversationVersion) -> bool:
    return earlier.status != "CLOSED" and later.status == "CLOSED"


def _assignee(world: World, assignee: Assignee | None) -> tuple[str, str, str, str]:
    if assignee is None:
        return "", "", "", ""
    agent_id = assignee.agent_id
    inbox_name = _inbox_name(world, assignee.inbox_id)
    return assignee.inbox_id, inbox_name, agent_id or "", _agent_name(world, agent_id)


def _agent_name(world: World, agent_id: str | None) -> str:
    return world.agents[agent_id].name if agent_id in world.agents else ""


def _inbox_name(world: World, inbox_id: str | None) -> str:
    return world.inboxes[inbox_id].name if inbox_id in world.inboxes else ""


def _written_time(instant: datetime, zone: tzinfo) -> str:
    return instant.astimezone(zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day(wanted: dict[str, Any], attr: str) -> date:
    try:
        return datetime.strptime(wanted[attr], "%Y-%m-%d").date()  # noqa: DTZ007  # a day, of whatever zone
    except (TypeError, ValueError):
        raise BadReportRequest(attr, "invalid", f"{attr} must be a date like 2026-11-01") from None


def _zone(name: Any) -> tzinfo:
    if name in ("UTC", "Etc/UTC", "GMT"):
        return UTC  # also where no timezone database is installed
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        raise BadReportRequest("timezone", "invalid", f"unknown timezone {name!r}") from None


_REPORTS: dict[
    str, tuple[tuple[str, ...], Callable[[World, ReportRequest, datetime, int], list[list[str]]]]
] = {
    "ConversationTimestampsReport": (TIMESTAMPS_COLUMNS, _timestamps_rows),
    "ConversationExportReport": (EXPORT_COLUMNS, _export_rows),
}
