"""A change: what Gladly recorded. The Events API and the report give the same changes, as one stream."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from state.records import BadLine


class ChangeType(Enum):
    """Name the kinds of change that mean something here. Every other kind is OTHER, also one that is new."""

    CREATED = auto()
    CLOSED = auto()
    REOPENED = auto()
    CUSTOMER_MERGED = auto()
    PROFILE_UPDATED = auto()
    PROFILE_DELETED = auto()
    TOPIC_ADDED = auto()
    TOPIC_REMOVED = auto()
    OTHER = auto()


TYPES = {
    "CONVERSATION/CREATED": ChangeType.CREATED,
    "CONVERSATION/CLOSED": ChangeType.CLOSED,
    "CONVERSATION/REOPENED": ChangeType.REOPENED,
    "CONVERSATION/TOPIC_ADDED": ChangeType.TOPIC_ADDED,
    "CONVERSATION/TOPIC_REMOVED": ChangeType.TOPIC_REMOVED,
    "CUSTOMER/MERGED": ChangeType.CUSTOMER_MERGED,
    "CUSTOMER_PROFILE/UPDATED": ChangeType.PROFILE_UPDATED,
    "CUSTOMER_PROFILE/DELETED": ChangeType.PROFILE_DELETED,
}

OF_A_CONVERSATION = frozenset({ChangeType.CREATED, ChangeType.CLOSED, ChangeType.REOPENED})

OF_TOPICS = frozenset({ChangeType.TOPIC_ADDED, ChangeType.TOPIC_REMOVED})

# Gladly's ids are URL-safe and at most 50 characters long (gladly-api, ids). We accept more than that, up to
# what is safe in a log, a path and a terminal.
_ID = re.compile(r"[!-~]{1,200}")


def checked_id(value: str | None, name: str) -> str:
    """
    Return *value* when it can be one of Gladly's ids.

    Args:
        value: What stands in the field.
        name: The field's name, for the message.

    Raises:
        ValueError: *value* is missing or cannot be an id.
    """
    if not value or not _ID.fullmatch(value):
        raise ValueError(f"{name} is missing" if not value else f"{name} is not an id as Gladly makes them")
    return value


@dataclass(slots=True)
class Change:
    """
    Hold one change.

    Attributes:
        id: The id of the change; empty when it comes from the report, which has no ids.
        type: What kind of change it is.
        recorded_at: When Gladly recorded it.
        customer_id: The customer concerned. For a merge, this is the source customer.
        conversation_id: The conversation concerned. For a merge, this is the source's open conversation.
        agent_id: The agent assigned just before the change; empty when nobody was. None when the source does
            not say.
        topic_id: The topic that was added or removed.
        into_customer_id: For a merge, the customer who remains.
    """

    id: str
    type: ChangeType
    recorded_at: datetime
    customer_id: str = ""
    conversation_id: str = ""
    agent_id: str | None = None
    into_customer_id: str = ""
    topic_id: str = ""

    @property
    def order(self) -> tuple[datetime, bool, str]:
        """
        Sort by the recorded instant. At the same instant a creation comes first, then the lower id (faults
        A3).
        """
        return self.recorded_at, self.type is not ChangeType.CREATED, self.id


@dataclass(slots=True)
class Chunk:
    """
    Hold the changes that are taken in together, in one transaction.

    Attributes:
        changes: The changes, in the order in which they were read.
        position: The watermark once these changes are taken in; None leaves the watermark where it is.
        bad_lines: The whole lines that could not be read.
        read_until: Gladly's clock when it answered; None when the answer did not say.
    """

    changes: list[Change]
    position: datetime | None
    bad_lines: list[BadLine]
    read_until: datetime | None = None
