"""
Compare the fields of one event on both sides: what differs, how, and whether a setting explains it (semantics
6.5). Pure.

No personal value leaves this module: of a personal property only its name and the kind of the difference do.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from state.instants import from_text
from sync.events.options import USER_IDS, EventOptions, hash_name
from sync.events.track import hash_of
from sync.printable import printable

Fields = Mapping[str, Any]

# What can be shown in full: ids, instants and the organization's own words. Everything else, a property that
# is not known included, is taken for personal (SECURITY.md, privacy).
_SHOWN = frozenset(
    {
        *("userId", "timestamp", "agentId", "conversationId", "status"),
        *("topicIds", "topicNames", "createdAt", "closedAt", "inboxId"),
    }
)
_INSTANTS = frozenset({"timestamp", "createdAt", "closedAt"})


class Kind(StrEnum):
    """How a field differs."""

    MISSING_HERE = "missing here"
    MISSING_THERE = "missing there"
    OTHER_FORMAT = "other format"
    OTHER_VALUE = "other value"


class Difference(NamedTuple):
    """
    Hold one field that differs.

    Attributes:
        name: The property, `userId` or `timestamp`.
        kind: How it differs.
        expected_by: The setting that explains it; empty when none does.
        here: Our value as it can be shown; empty for a personal one.
        there: Their value likewise.
        keys: The first custom attributes that differ.
    """

    name: str
    kind: Kind
    expected_by: str = ""
    here: str = ""
    there: str = ""
    keys: tuple[str, ...] = ()


def differences(ours: Fields, theirs: Fields, options: EventOptions, *, is_row: bool) -> Iterator[Difference]:
    """
    Yield what differs between the two sides of one event.

    Args:
        ours: `userId`, `timestamp` and the properties as this program sends them.
        theirs: The same as Gladly's integration sent them. A column that the table lacks is missing in it.
        options: The settings, which explain some differences.
        is_row: Whether theirs is a row of a warehouse table.
    """
    ours = _under_plain_names(ours, theirs, options)
    for name in {**ours, **theirs}:
        if is_row and name not in theirs:
            continue  # the table has no such column, which says nothing about the event
        here, there = ours.get(name), theirs.get(name)
        keys: tuple[str, ...] = ()
        if name == "customAttributes" and is_row:
            here, there = _flattened(here), {_snake(key): text for key, text in (there or {}).items()}
        if name == "customAttributes" and isinstance(here, dict) and isinstance(there, dict):
            keys = tuple(
                key for key in {**here, **there} if not _same(key, here.get(key), there.get(key), is_row)
            )
            if not keys:
                continue
        elif _same(name, here, there, is_row):
            continue
        is_closed = ours.get("status", theirs.get("status")) == "CLOSED"
        kind = _kind(name, here, there)
        yield Difference(
            printable(name[:60]),
            kind,
            _expected_by(name, here, there, options, is_closed=is_closed),
            _shown(name, here, options),
            _shown(name, there, options),
            tuple(printable(key[:40]) for key in keys[:3]),
        )


def _under_plain_names(ours: Fields, theirs: Fields, options: EventOptions) -> Fields:
    """Return our fields with each hash under the name of what was hashed, unless they have that hash, too."""
    plain = {hash_name(name): name for name in options.hashed if hash_name(name) not in theirs}
    return {plain.get(name, name): value for name, value in ours.items()}


def is_same_instant(one: datetime, other: datetime) -> bool:
    """
    Return whether two instants are one, to the millisecond.

    Where one of them has no fraction of a second, whole seconds count: Gladly's report cuts fractions, and so
    do exports of some warehouses.
    """
    if one.microsecond // 1000 == 0 or other.microsecond // 1000 == 0:
        return one.replace(microsecond=0) == other.replace(microsecond=0)
    return one.replace(microsecond=one.microsecond // 1000 * 1000) == other.replace(
        microsecond=other.microsecond // 1000 * 1000
    )


def _same(name: str, here: Any, there: Any, is_row: bool) -> bool:
    if here == there:
        return True
    if name in _INSTANTS and isinstance(here, str) and isinstance(there, str):
        try:
            return is_same_instant(from_text(here), from_text(there))
        except ValueError:
            return False
    if not is_row:
        return False
    if here in (None, "", [], {}) and there in (None, "", [], {}):
        return True
    return not isinstance(here, (dict, list)) and _as_text(here) == _as_text(there)


def _kind(name: str, here: Any, there: Any) -> Kind:
    if here is None:
        return Kind.OTHER_FORMAT if there in (None, "") else Kind.MISSING_HERE
    if there in (None, ""):
        return Kind.MISSING_THERE
    return Kind.OTHER_FORMAT if _plain(name, here) == _plain(name, there) else Kind.OTHER_VALUE


def _expected_by(name: str, here: Any, there: Any, options: EventOptions, *, is_closed: bool) -> str:
    """Return the setting that explains a difference (semantics 1.2, 1.3), or nothing."""
    if name in options.add and there is None:
        return "properties.add"
    if name in options.leave_out and here is None:
        return "properties.leave_out"
    if name in options.hashed and isinstance(there, str) and here == hash_of(there):
        return "properties.hash"
    if name == "userId" and options.user_id != USER_IDS[0]:
        return "properties.user_id"
    if name == "timestamp" and is_closed and options.closed_timestamp == "closed":
        return "sync.closed_timestamp"
    return ""


def _plain(name: str, value: Any) -> Any:
    """Return what a value says, whatever its format."""
    if name == "phone" and isinstance(value, str):
        return re.sub(r"[^0-9]", "", value).lstrip("0")
    if isinstance(value, list):
        return sorted(_as_text(item) for item in value)
    if isinstance(value, dict):
        return {key: _plain("", item) for key, item in value.items() if item not in (None, "")}
    return " ".join(_as_text(value).casefold().split())


def _as_text(value: Any) -> str:
    """Return a value as a warehouse may have it. Numbers of one value have one text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text = "" if value is None else str(value)
    if text.lower() in ("true", "false", "t", "f"):
        return {"t": "true", "f": "false"}.get(text.lower(), text.lower())
    try:
        return (
            format(float(text), ".15g") if re.fullmatch(r"-?[0-9.]{1,17}(?:[eE][-+]?[0-9]+)?", text) else text
        )
    except ValueError:
        return text


def _flattened(attributes: Any, before: str = "") -> dict[str, str]:
    """Return custom attributes as a warehouse has them: a column for each, nested ones joined by `_`."""
    found: dict[str, str] = {}
    for key, value in (attributes if isinstance(attributes, dict) else {}).items():
        name = before + _snake(key)
        if isinstance(value, dict):
            found |= _flattened(value, f"{name}_")
        elif value not in (None, ""):
            found[name] = _as_text(value)
    return found


def _snake(name: str) -> str:
    """Return a name as Segment's warehouses write it: `membershipTier` becomes `membership_tier`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def _shown(name: str, value: Any, options: EventOptions) -> str:
    is_personal = name == "userId" and options.user_id != USER_IDS[0]  # another system's id may be an address
    if name not in _SHOWN or is_personal or value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= 80 else text[:79] + "…")
