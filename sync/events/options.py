"""How events may differ from those of Gladly's own integration, where a person says so (semantics 1.3)."""

from typing import NamedTuple

# What that integration does not send.
MORE = ("createdAt", "closedAt", "inboxId", "topicNames")

# What of it may be left out: all but which conversation it is about.
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

# What may be sent as a hash of itself.
HASHABLE = ("email", "phone")


class Shape(NamedTuple):
    """
    How events differ.

    Attributes:
        closed_timestamp: `created`, as Gladly's integration does it, or `closed` (semantics 1.2).
        reopened: Whether reopenings are events, too.
        add: Which of `MORE` are sent as well.
        leave_out: Which of `OPTIONAL` are not sent.
        hashed: Which of `HASHABLE` are sent hashed.
    """

    closed_timestamp: str = "created"
    reopened: bool = False
    add: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()


AS_GLADLY = Shape()
