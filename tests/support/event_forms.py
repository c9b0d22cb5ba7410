"""
Check every track event that a sandbox receives against the published form of the events (semantics 1.6).

A test's settings are not known here, so an event must have the form that some settings give it. What a test
has made by hand, to fill an outbox or a batch, has no messageId as the program makes them, and any form.
"""

import uuid
from typing import Any

from jsonschema import Draft7Validator, FormatChecker

from sandbox.segment.inbox import Inbox
from state.records import Transition
from sync.events.options import ADDABLE, HASHABLE, EventOptions
from sync.events.schema import event_schema
from sync.events.track import NAMES

_arrived: list[Any] = []


def form_of_any_settings(transition: Transition) -> dict[str, Any]:
    """Return the schema of an event with whatever is added, left out or hashed."""
    schema = event_schema(transition, EventOptions(add=ADDABLE))
    properties = schema["properties"]["properties"]
    hashed = event_schema(transition, EventOptions(hashed=HASHABLE))["properties"]["properties"]["properties"]
    for name in HASHABLE:
        properties["properties"][name] = {"anyOf": [properties["properties"][name], hashed[name]]}
    properties["required"] = ["conversationId"]
    return schema


VALIDATORS = {
    NAMES[transition]: Draft7Validator(form_of_any_settings(transition), format_checker=FormatChecker())
    for transition in Transition
}


def is_made_by_the_program(event: dict[str, Any]) -> bool:
    """Return whether the event's id is one of the program's: a UUID of version 5 (semantics 4.2)."""
    try:
        return uuid.UUID(event["messageId"]).version == 5
    except (KeyError, ValueError, AttributeError, TypeError):
        return False


def listen() -> None:
    """Have every sandbox of this process note what arrives, from now on."""
    take = Inbox.take

    def noting(inbox: Inbox, events: list[Any], **more: Any) -> None:
        _arrived.extend(incoming.event for incoming in events)
        take(inbox, events, **more)

    Inbox.take = noting  # type: ignore[method-assign]


def of_another_form() -> list[str]:
    """Return what is wrong with the events that have arrived since the last call."""
    arrived, _arrived[:] = list(_arrived), []
    return [
        f"{event.get('messageId')}: {error.json_path}: {error.message}"
        for event in arrived
        if event.get("event") in VALIDATORS and is_made_by_the_program(event)
        for error in VALIDATORS[event["event"]].iter_errors(event)
    ]
