"""Gladly's reports on conversations, as CSV. They hold the changes that the feed holds, of any age."""

import csv
import io
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, tzinfo

from sandbox.gladly.report_request import (
    CONVERSATION_EXPORT,
    CONVERSATION_TIMESTAMPS,
    ReportRequest,
)
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

# The columns in the tests of PostHog's warehouse source (creation, ids, status, closes), and more.
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

# How the report names each type of change. Types that are not listed have no row.
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


def csv_lines(
    world: World, wanted: ReportRequest, *, row_cap: int, lateness_s: float, shuffled: bool
) -> Iterable[bytes]:
    """
    Return the report in pieces of whole rows. A report without rows has no piece, not even a header.

    Args:
        world: What the report is about.
        wanted: Which report, of which days.
        row_cap: The largest number of rows. The report leaves out the latest rows beyond it and does not say
            so.
        lateness_s: The report leaves out changes that are younger than this, in world seconds.
        shuffled: Whether the rows come out of order, in the same way each time.
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
    # A row shows the conversation as it stands now. Only its creation decides whether it has a row.
    conversations = [
        conversation
        for conversation in world.conversations.values()
        if wanted.start <= conversation.created_at < ready_until and conversation.gone != "deleted"
    ]
    conversations.sort(key=lambda conversation: conversation.created_at)
    return [_export_row(world, wanted, conversation) for conversation in conversations[:row_cap]]


def _export_row(world: World, wanted: ReportRequest, conversation: Conversation) -> list[str]:
    versions = conversation.versions
    closes = [later.at for earlier, later in itertools.pairwise(versions) if _closes(earlier, later)]
    status = (
        "MERGED" if conversation.gone == "merged" else "CLOSED" if conversation.status == "CLOSED" else "OPEN"
    )
    return [
        wanted.zone_name,
        _written_time(conversation.created_at, wanted.zone),
        conversation.id,
        conversation.customer_id,
        status,
        _written_time(closes[0], wanted.zone) if closes else "",
        _written_time(closes[-1], wanted.zone) if closes else "",
        *_assignee(world, conversation.now.assignee),
        versions[0].assignee.inbox_id,
        _inbox_name(world, versions[0].assignee.inbox_id),
        ";".join(world.topics[id].name if id in world.topics else id for id in conversation.topic_ids),
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


_REPORTS: dict[
    str, tuple[tuple[str, ...], Callable[[World, ReportRequest, datetime, int], list[list[str]]]]
] = {
    CONVERSATION_TIMESTAMPS: (TIMESTAMPS_COLUMNS, _timestamps_rows),
    CONVERSATION_EXPORT: (EXPORT_COLUMNS, _export_rows),
}
