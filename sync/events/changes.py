"""Define a change: what Gladly recorded. The Events API and the report give the same changes."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from state.records import BadLine


class ChangeType(Enum):
    """Name the kinds of change that the sync uses. Every other kind, a new one included, is OTHER."""

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

# Documented as well, and without a meaning here (Gladly REST API, Events and Reports).
_DOCUMENTED = frozenset(
    {
        *TYPES,
        "CONVERSATION/NOTE_CREATED",
        "CONVERSATION_ASSIGNEE/UPDATED",
        "NOTE/CREATED",
    }
)

OF_A_CONVERSATION = frozenset({ChangeType.CREATED, ChangeType.CLOSED, ChangeType.REOPENED})

OF_TOPICS = frozenset({ChangeType.TOPIC_ADDED, ChangeType.TOPIC_REMOVED})

# Gladly's ids are URL-safe and at most 50 characters long (gladly-api, ids). We accept more than that, up to
# what is safe in a log, a path and a terminal.
_ID = re.compile(r"[!-~]{1,200}")


def change_type(name: str) -> ChangeType:
    """Return the type that Gladly calls *name*, in any case, with spaces or `-` in place of `_`."""
    return TYPES.get(name) or TYPES.get(_as_documented(name), ChangeType.OTHER)


def is_known_type(name: str) -> bool:
    """Return whether Gladly's documents name this type, with a meaning here or without."""
    return name in _DOCUMENTED or _as_documented(name) in _DOCUMENTED


def _as_documented(name: str) -> str:
    return "/".join(re.sub(r"[\s_-]+", "_", part.strip()) for part in name.upper().split("/"))


def checked_id(value: str | None, name: str) -> str:
    """
    Return *value* when it can be one of Gladly's ids.

    Args:
        value: The value of the field.
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
        is_from_report: Whether the report showed it. The report's instants may lie a second or two beside the
            feed's.
    """

    id: str
    type: ChangeType
    recorded_at: datetime
    customer_id: str = ""
    conversation_id: str = ""
    agent_id: str | None = None
    into_customer_id: str = ""
    topic_id: str = ""
    is_from_report: bool = False

    @property
    def order(self) -> tuple[datetime, bool]:
        """
        Sort by the recorded instant. At the same instant a creation comes first.

        Other changes of one instant keep the order in which Gladly told them: a sort by this key must be
        stable (faults A3, semantics 2.0.1).
        """
        return self.recorded_at, self.type is not ChangeType.CREATED


@dataclass(slots=True)
class Chunk:
    """
    Hold the changes that are taken in together, in one transaction.

    Attributes:
        changes: The changes, in the order in which they were read.
        position: The watermark once these changes are taken in; None leaves the watermark where it is.
        bad_lines: The whole lines that could not be read.
        read_until: Gladly's clock when it answered; None when it is not known.
        is_from_report: Whether the changes come from the report. The position is then written even with no
            change: a day of the report is not asked for again (faults H2.12).
        shows_profiles: Whether the source shows changes of customers' profiles.
    """

    changes: list[Change]
    position: datetime | None
    bad_lines: list[BadLine]
    read_until: datetime | None = None
    is_from_report: bool = False
    shows_profiles: bool = True
