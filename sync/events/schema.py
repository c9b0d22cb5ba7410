"""
Describe the form of the events: JSON Schema, and the tracking plans made from it (semantics 1.6). Pure.

Every property that an event can have is described once, in `_PROPERTIES`. The options (semantics 1.3) decide
which of them an event has.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from state.records import Transition
from sync.events.options import AS_GLADLY, HASHABLE, EventOptions
from sync.events.track import NAMES

Document = dict[str, Any]

# The version of JSON Schema that Segment's tracking plans take (segment-public-api, tracking plans).
DRAFT = "http://json-schema.org/draft-07/schema#"

_TEXT = {"type": "string", "minLength": 1}
_INSTANT = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_LIST = {"type": "array", "items": {"type": "string"}}

# Segment de-duplicates by messageIds of fewer than 100 characters (Segment HTTP Tracking API, duplicates).
_MESSAGE_ID = {"type": "string", "minLength": 1, "maxLength": 99}


class _Property(NamedTuple):
    """
    Describe one property of an event.

    Attributes:
        form: Its JSON Schema.
        description: What it is, for the people who read the plan.
        is_always_there: Whether every event has it. Others are left out while they are unknown.
        is_of_a_close: Whether only a closed event has it.
        is_added: Whether an event has it only where the settings add it.
    """

    form: Document
    description: str
    is_always_there: bool = False
    is_of_a_close: bool = False
    is_added: bool = False


_PROPERTIES = {
    "agentId": _Property(_TEXT, "Gladly's id of the agent; left out while nobody is assigned"),
    "agentName": _Property(_TEXT, "The agent's name"),
    "conversationId": _Property(_TEXT, "Gladly's id of the conversation", is_always_there=True),
    "customerName": _Property(_TEXT, "The customer's name"),
    "email": _Property(_TEXT, "The customer's primary e-mail address, or else the first one"),
    "phone": _Property(
        {"type": "string", "pattern": r"^\+[1-9][0-9]+$"},
        "The customer's primary phone number, or else the first one, in E.164",
    ),
    "customAttributes": _Property(
        {"type": "object"}, "The custom attributes of the customer's profile", is_always_there=True
    ),
    "status": _Property(_TEXT, "The conversation's status", is_always_there=True),
    "topicIds": _Property(
        _LIST, "Gladly's ids of the conversation's topics", is_always_there=True, is_of_a_close=True
    ),
    "createdAt": _Property(
        _INSTANT, "When the conversation was created", is_always_there=True, is_added=True
    ),
    "closedAt": _Property(
        _INSTANT,
        "When the conversation was closed",
        is_always_there=True,
        is_of_a_close=True,
        is_added=True,
    ),
    "inboxId": _Property(_TEXT, "Gladly's id of the conversation's inbox", is_added=True),
    "topicNames": _Property(
        _LIST,
        "The names of the conversation's topics, as far as Gladly tells them",
        is_always_there=True,
        is_of_a_close=True,
        is_added=True,
    ),
}

_MEANINGS = {
    Transition.CREATED: "A Gladly conversation was created",
    Transition.CLOSED: "A Gladly conversation was closed",
    Transition.REOPENED: "A Gladly conversation was reopened",
}


def sent_transitions(options: EventOptions) -> list[Transition]:
    """Return the transitions that make an event with these options."""
    sent = [Transition.CREATED, Transition.CLOSED]
    return [*sent, Transition.REOPENED] if options.reopened else sent


def json_schema(options: EventOptions = AS_GLADLY) -> Document:
    """Return the JSON Schema (draft 7) that every event as configured fulfils: one of the events' own."""
    forms = [event_schema(transition, options) for transition in sent_transitions(options)]
    return {"$schema": DRAFT, "title": "Events of gladly-segment-sync", "oneOf": forms}


def event_schema(transition: Transition, options: EventOptions = AS_GLADLY) -> Document:
    """Return the JSON Schema (draft 7) of one event, as it is sent to Segment."""
    fields = {
        "type": {"const": "track"},
        "event": {"const": NAMES[transition]},
        "userId": _TEXT | {"description": "Gladly's id of the customer"},
        "timestamp": _INSTANT,
        "messageId": _MESSAGE_ID,
        "properties": properties_schema(transition, options),
    }
    return {
        "$schema": DRAFT,
        "title": NAMES[transition],
        "description": _MEANINGS[transition],
        "type": "object",
        "properties": fields,
        "required": list(fields),
    }


def properties_schema(transition: Transition, options: EventOptions = AS_GLADLY) -> Document:
    """Return the JSON Schema of an event's `properties`. It allows no property that is not described."""
    described = dict(_described(transition, options))
    return {
        "type": "object",
        "properties": {
            name: {"description": property_.description} | property_.form
            for name, property_ in described.items()
        },
        "required": [name for name, property_ in described.items() if property_.is_always_there],
        "additionalProperties": False,
    }


def segment_rules(options: EventOptions = AS_GLADLY) -> Document:
    """
    Return the rules of a Segment tracking plan, as `PUT /tracking-plans/{id}/rules` takes them.

    A rule's schema describes the whole call (segment-public-api, tracking plans). The event's type and name
    are the rule's own, and the call's other fields are Segment's, so only the customer and the properties are
    described.
    """
    return {"rules": [_segment_rule(transition, options) for transition in sent_transitions(options)]}


def _segment_rule(transition: Transition, options: EventOptions) -> Document:
    fields = {
        "context": {},
        "traits": {},
        "userId": _TEXT,
        "properties": properties_schema(transition, options),
    }
    schema = {
        "$schema": DRAFT,
        "description": _MEANINGS[transition],
        "type": "object",
        "properties": fields,
        "required": ["userId", "properties"],
    }
    return {"key": NAMES[transition], "type": "TRACK", "version": 1, "jsonSchema": schema}


def rudderstack_plan(options: EventOptions = AS_GLADLY) -> str:
    """
    Return a RudderStack tracking plan for `rudder-cli`: three YAML documents, for a file each.

    The documents are the events, the properties and the plan that joins them, in version `rudder/v1`
    (RudderStack, "Data Catalog and Tracking Plans YAML Reference"). A property is described once for all
    events there, so a closed event's status and a created event's are one property.
    """
    sent = sent_transitions(options)
    described = {transition: dict(_described(transition, options)) for transition in sent}
    everything = {name: property_ for those in described.values() for name, property_ in those.items()}
    if "status" in everything:
        words = [word for those in described.values() for word in those["status"].form["enum"]]
        form = {"type": "string", "enum": list(dict.fromkeys(words))}
        everything["status"] = everything["status"]._replace(form=form)
    events = [
        {"id": _event_id(t), "name": NAMES[t], "event_type": "track", "description": _MEANINGS[t]}
        for t in sent
    ]
    rules = [
        {
            "type": "event_rule",
            "id": f"{_event_id(transition)}_rule",
            "event": f"#event:{_event_id(transition)}",
            "additional_properties": False,
            "properties": [
                {"property": f"#property:{_property_id(name)}", "required": property_.is_always_there}
                for name, property_ in those.items()
            ],
        }
        for transition, those in described.items()
    ]
    plan = {
        "id": "gladly_conversations",
        "display_name": "Gladly conversations",
        "description": "The events of gladly-segment-sync",
        "rules": rules,
    }
    properties = [_rudderstack_property(name, property_) for name, property_ in everything.items()]
    documents = [
        _rudderstack_document("events", {"events": events}),
        _rudderstack_document("properties", {"properties": properties}),
        _rudderstack_document("tracking-plan", plan),
    ]
    return "---\n".join("\n".join(_yaml(document)) + "\n" for document in documents)


def _rudderstack_document(kind: str, spec: Document) -> Document:
    return {"version": "rudder/v1", "kind": kind, "metadata": {"name": "gladly_conversations"}, "spec": spec}


def _rudderstack_property(name: str, property_: _Property) -> Document:
    form = property_.form
    described = {
        "id": _property_id(name),
        "name": name,
        "type": form["type"],
        "description": property_.description,
    }
    if form["type"] == "array":
        described["item_type"] = form["items"]["type"]
    limits = {"min_length": form.get("minLength"), "pattern": form.get("pattern"), "enum": form.get("enum")}
    config = {key: value for key, value in limits.items() if value is not None}
    return described | {"config": config} if config else described


def _event_id(transition: Transition) -> str:
    return f"gladly_conversation_{transition.value}"


def _property_id(name: str) -> str:
    return "gladly_" + "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _described(transition: Transition, options: EventOptions) -> Iterator[tuple[str, _Property]]:
    """Yield the properties that an event can have with these options."""
    is_closed = transition is Transition.CLOSED
    for name, property_ in _PROPERTIES.items():
        if (property_.is_of_a_close and not is_closed) or name in options.leave_out:
            continue
        if property_.is_added and name not in options.add:
            continue
        if name == "status":
            statuses = ["CLOSED"] if is_closed else ["OPEN", "WAITING"]
            yield name, property_._replace(form={"type": "string", "enum": statuses})
        elif name in HASHABLE and name in options.hashed:
            description = f"SHA-256 of this, in lower case: {property_.description}"
            yield name, property_._replace(form=_HASH, description=description)
        else:
            yield name, property_


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """
    Yield the lines of a block of YAML.

    A text is written as JSON writes it, which YAML 1.2 reads as the same text.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                yield f"{indent}{key}:"
                yield from _yaml(item, indent + "  ")
            else:
                yield f"{indent}{key}: {json.dumps(item)}"
    else:
        for item in value:
            if isinstance(item, dict):
                first, *rest = _yaml(item, indent + "  ")
                yield f"{indent}- {first.lstrip()}"
                yield from rest
            else:
                yield f"{indent}- {json.dumps(item)}"
