"""
Read Gladly's objects from the bytes of an answer (semantics 2.5).

The strict decoder reads what is as documented. What it refuses is read a second time with tolerance: an odd
byte, a number where a text belongs, an entry that is null. An answer that is another object is never read.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from sync.events.changes import checked_id
from sync.events.gladly_objects import Email, GladlyConversation, Phone, Profile
from sync.gladly.models import Agent, Inbox, Topic

T = TypeVar("T")


def read(body: bytes, type_: type[T], tolerant: Callable[[Any], T]) -> T:
    """
    Return the object in *body*.

    Args:
        body: The answer's body.
        type_: What it should be.
        tolerant: Makes the object of decoded JSON that the strict decoder does not take.

    Raises:
        ValueError: The body is something else.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return tolerant(json.loads(body.decode("utf-8", "replace"), strict=False))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def conversation(value: Any) -> GladlyConversation:
    """
    Return the conversation that decoded JSON shows.

    Raises:
        ValueError: It shows none: it lacks an id, its customer's id or its status.
    """
    found = _fields(value)
    topics = found.get("topicIds")
    return GladlyConversation(
        id=checked_id(_text(found.get("id")), "id"),
        customer_id=checked_id(_text(found.get("customerId")), "customerId"),
        status=_needed(found, "status"),
        created_at=_text(found.get("createdAt")),
        closed_at=_text(found.get("closedAt")),
        inbox_id=_text(found.get("inboxId")),
        agent_id=_text(found.get("agentId")),
        topic_ids=[t for t in topics if isinstance(t, str)] if isinstance(topics, list) else None,
    )


def profile(value: Any) -> Profile:
    """
    Return the profile that decoded JSON shows.

    Raises:
        ValueError: It shows none: it lacks an id.
    """
    found = _fields(value)
    return Profile(
        id=checked_id(_text(found.get("id")), "id"),
        name=_text(found.get("name")),
        emails=[
            Email(
                normalized=_text(entry.get("normalized")),
                original=_text(entry.get("original")),
                primary=entry.get("primary") is True,
            )
            for entry in _entries(found.get("emails"))
        ],
        phones=[
            Phone(
                normalized=_text(entry.get("normalized")),
                original=_text(entry.get("original")),
                region_code=_text(entry.get("regionCode")),
                primary=entry.get("primary") is True,
            )
            for entry in _entries(found.get("phones"))
        ],
        custom_attributes=found.get("customAttributes"),
        external_customer_ids=_texts(found.get("externalCustomerIds")),
        external_customer_id=_text(found.get("externalCustomerId")),
    )


def agent(value: Any) -> Agent:
    """
    Return the agent that decoded JSON shows.

    Raises:
        ValueError: It shows none: it lacks an id.
    """
    found = _fields(value)
    return Agent(id=checked_id(_text(found.get("id")), "id"), name=_text(found.get("name")))


def agents(value: Any) -> list[Agent]:
    """
    Return the agents that decoded JSON lists, without the entries that are none.

    Raises:
        ValueError: It is no list.
    """
    return [agent(entry) for entry in _listed(value) if _text(entry.get("id"))]


def topics(value: Any) -> list[Topic]:
    """
    Return the topics that decoded JSON lists, without the entries that are none.

    Raises:
        ValueError: It is no list.
    """
    return [
        Topic(id=id_, name=_text(entry.get("name")))
        for entry in _listed(value)
        if (id_ := _text(entry.get("id")))
    ]


def inboxes(value: Any) -> list[Inbox]:
    """
    Return the inboxes that decoded JSON lists, without the entries that are none.

    Raises:
        ValueError: It is no list.
    """
    return [
        Inbox(id=id_, name=_text(entry.get("name")))
        for entry in _listed(value)
        if (id_ := _text(entry.get("id")))
    ]


def _fields(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or "errors" in value:
        raise ValueError("it is another object")
    return value


def _listed(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ValueError("it is no list")  # noqa: TRY004 (about the answer, not about an argument)
    return _entries(value)


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    """Return the entries of a list that are texts or numbers, as texts."""
    entries = value if isinstance(value, list) else []
    return [text for text in map(_text, entries) if text is not None]


def _needed(found: dict[str, Any], name: str) -> str:
    text = _text(found.get(name))
    if not text:
        raise ValueError(f"{name} is missing")
    return text


def _text(value: Any) -> str | None:
    """Return a text or a number as text. Return None for everything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
