"""
Define how events may differ from those of Gladly's own integration when a setting asks for it (semantics
1.3).
"""

from typing import NamedTuple

# Properties that Gladly's integration does not send, and that can be added.
ADDABLE = ("createdAt", "closedAt", "inboxId", "topicNames", "externalCustomerId")

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

# Properties that can be sent as a hash, each under a name of its own (`hash_name`).
HASHABLE = ("email", "phone")

# What `userId` can be: Gladly's id of the customer, or the profile's first external id (semantics 1.5).
USER_IDS = ("customerId", "externalCustomerId")


def hash_name(name: str) -> str:
    """
    Return the name under which the hash of a property is sent.

    Segment takes `properties.email` of any track event for an identifier. A hash under that name would join
    customers wrongly.
    """
    return f"{name}Sha256"


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
        user_id: Which of `USER_IDS` is sent as `userId`.
        traits: Whether an identify call follows each event (semantics 1.4).
        inboxes: The ids or names of the inboxes whose conversations are sent. All are sent where it is empty.
    """

    closed_timestamp: str = "created"
    reopened: bool = False
    add: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    user_id: str = USER_IDS[0]
    traits: bool = False
    inboxes: tuple[str, ...] = ()


AS_GLADLY = EventOptions()
