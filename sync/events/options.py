"""
Define how events may differ from those of Gladly's own integration when a setting asks for it (semantics
1.3).
"""

from typing import NamedTuple

# Properties that Gladly's integration does not send, and that can be added.
ADDABLE = ("createdAt", "closedAt", "inboxId", "topicNames")

# Properties that can be left out. The conversation's id is always sent.
OPTIONAL = (
    "agentId",
    "agentName",
    "customerName",
    "customAttributes",
    "email",
    "phone",
    "status",
    "topicIds",
)

# Properties that can be sent as a hash.
HASHABLE = ("email", "phone")


class EventOptions(NamedTuple):
    """
    Say how events differ from those of Gladly's own integration. The defaults make them the same.

    Attributes:
        closed_timestamp: `created` sends a closed event with the time its conversation was created, as
            Gladly's integration does; `closed` sends the time it was closed (semantics 1.2).
        reopened: Whether reopenings are sent as events too.
        add: The properties of `ADDABLE` to send as well.
        leave_out: The properties of `OPTIONAL` to leave out.
        hashed: The properties of `HASHABLE` to send as a SHA-256 hash.
    """

    closed_timestamp: str = "created"
    reopened: bool = False
    add: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()


AS_GLADLY = EventOptions()
