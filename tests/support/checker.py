"""
Compare what Segment received with what happened in the sandbox's world: lost, unexpected, repeated, wrong.

The checker knows the world alone and nothing of how the sync works, so that it can convict the sync.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import phonenumbers

from sandbox import Sandbox
from state.instants import from_text, to_text

NAMES = {"created": "Gladly Conversation Created", "closed": "Gladly Conversation Closed"}


def problems(sandbox: Sandbox, *, since: datetime | None = None, until: datetime | None = None) -> list[str]:
    """
    Return everything that is not as it should be. An empty list is the proof that nothing is wrong.

    Args:
        sandbox: The world, and what Segment received.
        since: The sync had nothing to do with transitions recorded before this instant.
        until: Transitions recorded after this instant may not have arrived yet.
    """
    received = sandbox.inbox.received
    found = [f"twice: {id_}" for id_, n in Counter(e["messageId"] for e in received).items() if n > 1]
    happened = [
        t for t in sandbox.world.truth() if t.kind in NAMES and (since is None or t.recorded_at >= since)
    ]
    due = [t for t in happened if until is None or t.recorded_at <= until]
    for kind, name in NAMES.items():
        may = Counter(t.conversation_id for t in happened if t.kind == kind)
        must = Counter(t.conversation_id for t in due if t.kind == kind and not _is_deleted(sandbox, t))
        got = Counter(e["properties"]["conversationId"] for e in received if e["event"] == name)
        found += [f"lost: {n} x {name} of {id_}" for id_, n in (must - got).items()]
        found += [f"unexpected: {n} x {name} of {id_}" for id_, n in (got - may).items()]
    for event in received:
        found += _wrong_fields(sandbox, event, [t for t in happened if NAMES[t.kind] == event["event"]])
    return found


def suppressed(sandbox: Sandbox, state_events: list[dict[str, Any]]) -> list[str]:
    """Return the suppressed events whose customer is not deleted at Gladly. There must be none."""
    gone = _everyone_deleted(sandbox)
    return [
        e["message_id"] for e in state_events if e["status"] == "suppressed" and e["customer_id"] not in gone
    ]


def _everyone_deleted(sandbox: Sandbox) -> set[str]:
    everyone = set(sandbox.world.deleted)
    while more := {s for s, (d, _) in sandbox.world.merged.items() if d in everyone} - everyone:
        everyone |= more
    return everyone


def _is_deleted(sandbox: Sandbox, truth: Any) -> bool:
    return truth.customer_id in _everyone_deleted(sandbox)


def _wrong_fields(sandbox: Sandbox, event: dict[str, Any], candidates: list[Any]) -> list[str]:
    """
    Return the event if it is wrong. It is right when some moment between the change and its arrival explains
    it.
    """
    id_ = event["properties"]["conversationId"]
    arrived = from_text(event["receivedAt"])
    world = sandbox.world
    for truth in (t for t in candidates if t.conversation_id == id_):
        customers = [truth.customer_id]
        while customers[-1] in world.merged:
            customers.append(world.merged[customers[-1]][0])
        for customer in customers:
            profiles = _between(world.profile_versions(customer), truth.recorded_at, arrived)
            conversations = _between(world.conversation_versions(id_), truth.recorded_at, arrived)
            for profile in profiles:
                for conversation in [*conversations, None]:
                    if _shown(event) == _expected(sandbox, truth, customer, profile, conversation):
                        return []
    return [f"wrong: {event}"]


def _between(versions: list[tuple[datetime, Any]], start: datetime, end: datetime) -> list[Any]:
    """Return the versions in force at some moment from *start* to *end*."""
    first = max((i for i, (at, _) in enumerate(versions) if at <= start), default=0)
    return [version for i, (at, version) in enumerate(versions) if i >= first and at <= end]


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as Segment shows it, without the fields that always differ."""
    return {name: value for name, value in event.items() if name not in ("messageId", "receivedAt")}


def _expected(
    sandbox: Sandbox, truth: Any, customer: str, profile: dict[str, Any], conversation: dict[str, Any] | None
) -> dict[str, Any]:
    agent = conversation.get("agentId") if conversation else truth.assignee.agent_id
    if truth.kind == "closed":
        agent = truth.assignee.agent_id  # the one who had the conversation at that close (semantics 2.6)
    names = {a.id: a.name for a in sandbox.world.agents.values()}
    properties = {
        "agentId": agent,
        "agentName": names.get(agent),
        "customerName": _unless_blank(profile.get("name")),
        "conversationId": truth.conversation_id,
        "customAttributes": profile.get("customAttributes") or {},
        "email": _email(profile),
        "phone": _phone(profile),
        "status": "OPEN",
    }
    if truth.kind == "closed":
        properties["status"] = "CLOSED"
        properties["topicIds"] = (conversation or {}).get("topicIds", [])
    elif conversation and conversation["status"] == "WAITING":
        properties["status"] = "WAITING"
    created = to_text(truth.created_at)
    return {
        "type": "track",
        "event": NAMES[truth.kind],
        "userId": customer,
        "timestamp": created,
        "originalTimestamp": created,
        "context": {"library": {"name": "unknown", "version": "unknown"}},
        "integrations": {},
        "properties": {k: v for k, v in properties.items() if v not in (None, "")},
    }


def _first_known(
    entries: list[dict[str, Any]], value_of: Callable[[dict[str, Any]], str | None]
) -> str | None:
    """Return the value of the primary entry, else of the first entry that has one."""
    primary = [e for e in entries if e.get("primary")]
    values = [value_of(e) for e in [*primary, *(e for e in entries if not e.get("primary"))]]
    return next((value for value in values if value), None)


def _email(profile: dict[str, Any]) -> str | None:
    return _first_known(
        profile.get("emails") or [],
        lambda e: _unless_blank(e.get("normalized")) or _unless_blank(e.get("original")),
    )


def _phone(profile: dict[str, Any]) -> str | None:
    def number_of(entry: dict[str, Any]) -> str | None:
        region = entry.get("regionCode") or "US"
        return _e164(entry.get("normalized"), region) or _e164(entry.get("original"), region)

    return _first_known(profile.get("phones") or [], number_of)


def _e164(text: str | None, region: str) -> str | None:
    """Return the number as libphonenumber writes it, if it can be dialled from anywhere."""
    try:
        number = phonenumbers.parse(text or "", region.upper())
    except phonenumbers.NumberParseException:
        return None
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    is_whole = (
        phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    )
    return found if is_whole and number.national_number else None


def _unless_blank(text: str | None) -> str | None:
    return text if text and text.strip() else None


def verdicts(found: list[str]) -> list[tuple[str, str]]:
    """Return what the checker found in short: lost, unexpected, twice or wrong, and the id it names."""
    return [(problem.split(":")[0], problem.split()[-1]) for problem in found]


def sent_twice(inbox):
    """Return the bytes of every event that came more than once, by message id."""
    raws = {}
    for attempt in inbox.attempts:
        raws.setdefault(attempt.message_id, []).append(attempt.raw)
    return {id_: came for id_, came in raws.items() if len(came) > 1}
