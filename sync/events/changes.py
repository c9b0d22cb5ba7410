"""A change: what Gladly recorded, from the Events API or from the report, as one stream."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from state import BadLine


class ChangeType(Enum):
    """The changes that mean something here; whatever else Gladly records, now or later, is OTHER."""

    CREATED = auto()
    CLOSED = auto()
    REOPENED = auto()
    CUSTOMER_MERGED = auto()
    PROFILE_UPDATED = auto()
    PROFILE_DELETED = auto()
    OTHER = auto()


TYPES = {
    "CONVERSATION/CREATED": ChangeType.CREATED,
    "CONVERSATION/CLOSED": ChangeType.CLOSED,
    "CONVERSATION/REOPENED": ChangeType.REOPENED,
    "CUSTOMER/MERGED": ChangeType.CUSTOMER_MERGED,
    "CUSTOMER_PROFILE/UPDATED": ChangeType.PROFILE_UPDATED,
    "CUSTOMER_PROFILE/DELETED": ChangeType.PROFILE_DELETED,
}

OF_A_CONVERSATION = frozenset({ChangeType.CREATED, ChangeType.CLOSED, ChangeType.REOPENED})

# A chunk is committed whole: a few hundred conversations to look up, or so many changes (semantics 3.4).
CHUNK_TRANSITIONS = 300
CHUNK_CHANGES = 2_000

# Ids of Gladly's are URL-safe and at most 50 characters (Gladly REST API). Kept to what no log, path or
# terminal trips over, and generously long, rather than to that to the letter.
_ID = re.compile(r"[!-~]{1,200}")


def checked_id(value: str | None, name: str) -> str:
    """
    Raises:
        ValueError: *value* cannot be an id of Gladly's.
    """
    if not value or not _ID.fullmatch(value):
        raise ValueError(f"no {name}" if not value else f"{name} is no id of Gladly's")
    return value


@dataclass(slots=True)
class Change:
    """
    One change.

    Attributes:
        id: The event's id; empty where the source has none (the report).
        recorded_at: When Gladly recorded it.
        customer_id: Of whom; of a merge, the source customer.
        agent_id: The assignee just before it, where it says so.
        into_customer_id, into_conversation_id: Of a merge, where they went.
    """

    id: str
    type: ChangeType
    recorded_at: datetime
    customer_id: str = ""
    conversation_id: str = ""
    agent_id: str = ""
    into_customer_id: str = ""
    into_conversation_id: str = ""

    @property
    def order(self) -> tuple[datetime, bool, str]:
        """Recorded order; where instants are equal a creation comes first, then by id (faults A3)."""
        return self.recorded_at, self.type is not ChangeType.CREATED, self.id


@dataclass(slots=True)
class Chunk:
    """
    Changes to take in together.

    Attributes:
        position: The watermark once they are taken in; None leaves it where it is.
        bad_lines: Whole lines that could not be read.
        read_until: The server's clock when it answered, where known.
    """

    changes: list[Change]
    position: datetime | None
    bad_lines: list[BadLine]
    read_until: datetime | None = None
