"""
Describe the form of the events: JSON Schema, and the tracking plans made from it (semantics 1.6). Pure.

Every property that an event can have is described once, in `_PROPERTIES`. The options (semantics 1.3) decide
which of them an event has.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from state.records import Transition
from sync.events.options import AS_GLADLY, HASHABLE, USER_IDS, EventOptions, hash_name
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
    "externalCustomerId": _Property(
        _TEXT, "The customer's first id in another system, as Gladly's profile has it", is_added=True
    ),
}

# The traits of an identify call (semantics 1.4).
_TRAITS = {
    "has_open_gladly_conversation": _Property(
        {"type": "boolean"}, "Whether any Gladly conversation of the customer is open", is_always_there=True
    ),
    "gladly_conversation_opened_ts": _Property(
        _INSTANT, "When a Gladly conversation of the customer was last created or reopened"
    ),
    "gladly_conversation_closed_ts": _Property(
        _INSTANT, "When a Gladly conversation of the customer was last closed"
    ),
}
_IDENTIFY_ID = "gladly_customer_identified"
_IDENTIFY = "Whether a customer has an open Gladly conversation"

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
    if options.traits:
        forms.append(identify_schema(options))
    return {"$schema": DRAFT, "title": "Events of gladly-segment-sync", "oneOf": forms}


def event_schema(transition: Transition, options: EventOptions = AS_GLADLY) -> Document:
    """Return the JSON Schema (draft 7) of one event, as it is sent to Segment."""
    fields = {
        "type": {"const": "track"},
        "event": {"const": NAMES[transition]},
        "userId": _user_id(options),
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


def identify_schema(options: EventOptions = AS_GLADLY) -> Document:
    """Return the JSON Schema (draft 7) of an identify call, as it is sent to Segment."""
    fields = {
        "type": {"const": "identify"},
        "userId": _user_id(options),
        "timestamp": _INSTANT,
        "messageId": _MESSAGE_ID,
        "traits": _object_schema(_TRAITS),
    }
    return {
        "$schema": DRAFT,
        "title": "identify",
        "description": _IDENTIFY,
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def _user_id(options: EventOptions) -> Document:
    described = "Gladly's id of the customer"
    if options.user_id != USER_IDS[0]:
        described = "The customer's first id in another system, or Gladly's id where there is none"
    return _TEXT | {"description": described}


def properties_schema(transition: Transition, options: EventOptions = AS_GLADLY) -> Document:
    """Return the JSON Schema of an event's `properties`. It allows no property that is not described."""
    return _object_schema(dict(_described(transition, options)))


def _object_schema(described: dict[str, _Property]) -> Document:
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
    rules = [_segment_rule(transition, options) for transition in sent_transitions(options)]
    if options.traits:
        # A rule of identify calls has no key: only track events have names.
        schema = _segment_schema(_IDENTIFY, "traits", _object_schema(_TRAITS))
        rules.append({"type": "IDENTIFY", "version": 1, "jsonSchema": schema})
    return {"rules": rules}


def _segment_rule(transition: Transition, options: EventOptions) -> Document:
    schema = _segment_schema(_MEANINGS[transition], "properties", properties_schema(transition, options))
    return {"key": NAMES[transition], "type": "TRACK", "version": 1, "jsonSchema": schema}


def _segment_schema(meaning: str, field: str, form: Document) -> Document:
    """Return the schema of a whole call whose own *field* has a form."""
    fields: Document = {"context": {}, "traits": {}, "userId": _TEXT, "properties": {}}
    return {
        "$schema": DRAFT,
        "description": meaning,
        "type": "object",
        "properties": fields | {field: form},
        "required": ["userId", field],
    }


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
    rules = [_rudderstack_rule(_event_id(transition), those) for transition, those in described.items()]
    if options.traits:
        # An identify call has no name there, and its properties are its traits (Rudder CLI, event types).
        everything |= _TRAITS
        events.append({"id": _IDENTIFY_ID, "event_type": "identify", "description": _IDENTIFY})
        rules.append(_rudderstack_rule(_IDENTIFY_ID, _TRAITS) | {"identity_section": "traits"})
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


def _rudderstack_rule(event_id: str, described: dict[str, _Property]) -> Document:
    return {
        "type": "event_rule",
        "id": f"{event_id}_rule",
        "event": f"#event:{event_id}",
        "additional_properties": False,
        "properties": [
            {"property": f"#property:{_property_id(name)}", "required": property_.is_always_there}
            for name, property_ in described.items()
        ],
    }


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
            yield hash_name(name), property_._replace(form=_HASH, description=description)
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
