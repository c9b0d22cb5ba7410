"""
Check every event that a sandbox receives against the published form of the events (semantics 1.6).

A test's settings are not known here, so an event must have the form that some settings give it. What a test
has made by hand, to fill an outbox or a batch, has no messageId as the program makes them, and any form.
"""

import uuid
from typing import Any

from jsonschema import Draft7Validator, FormatChecker

from sandbox.segment.inbox import Inbox
from state.records import Transition
from sync.events.options import ADDABLE, HASHABLE, EventOptions, hash_name
from sync.events.schema import event_schema, identify_schema
from sync.events.track import NAMES

_arrived: list[Any] = []


def form_of_any_settings(transition: Transition) -> dict[str, Any]:
    """Return the schema of an event with whatever is added, left out or hashed."""
    schema = event_schema(transition, EventOptions(add=ADDABLE))
    properties = schema["properties"]["properties"]
    hashed = event_schema(transition, EventOptions(hashed=HASHABLE))["properties"]["properties"]["properties"]
    for name in HASHABLE:
        # A hash has a name of its own, and never the plain one (semantics 1.3).
        plain, hash_ = properties["properties"][name], hashed[hash_name(name)]
        properties["properties"] |= {name: {"allOf": [plain, {"not": hash_}]}, hash_name(name): hash_}
    properties["required"] = ["conversationId"]
    return schema


FORMS = {NAMES[transition]: form_of_any_settings(transition) for transition in Transition}
VALIDATORS = {
    name: Draft7Validator(form, format_checker=FormatChecker())
    for name, form in (FORMS | {"identify": identify_schema()}).items()
}


def name_of(event: dict[str, Any]) -> str | None:
    """Return the name of a track event, and the type of any other call."""
    return event.get("event") or event.get("type")


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
        if (name := name_of(event)) in VALIDATORS and is_made_by_the_program(event)
        for error in VALIDATORS[name].iter_errors(event)
    ]
