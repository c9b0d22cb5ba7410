"""
Read the answers of Segment's Public API. No I/O.

What is needed must be there and of the right kind. Everything else may differ: the names of the outer fields
of the delivery overview are known from an SDK only (segment-public-api). So a list of rows is found by its
name, or else because it is the only list.

What is wrong is always a `ValueError`, because it came over the wire.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import msgspec

Object = dict[str, Any]


class Workspace(NamedTuple):
    """A workspace: the token belongs to one."""

    id: str
    name: str


class Source(NamedTuple):
    """
    A source of a workspace.

    Attributes:
        id, name: What the source is called. The name is the slug where there is no name.
        is_enabled: Whether Segment keeps what is sent to it.
        write_keys: Its keys. Empty where the token may not see them.
    """

    id: str
    name: str
    is_enabled: bool
    write_keys: tuple[str, ...]


class Counted(NamedTuple):
    """
    A row of counts.

    Attributes:
        event: The events' name. None where the row names none.
        reason: Why the events were discarded. None where the row names no reason.
        total: How many events the row counts.
        by_day: The same by days of UTC. Empty where the row has no series.
    """

    event: str | None
    reason: str | None
    total: int
    by_day: dict[date, int]


class Page(NamedTuple):
    """
    A page of a list.

    Attributes:
        rows: The rows, as they were sent.
        next: The cursor of the next page. None at the end.
    """

    rows: list[Object]
    next: str | None


def data_of(body: bytes) -> Object:
    """
    Return the `data` of an answer.

    Raises:
        ValueError: The body is not such an answer.
    """
    answer = msgspec.json.decode(body)
    return _object(_object(answer, "the answer").get("data"), "data")


def workspace_of(data: Object) -> Workspace:
    """
    Return the workspace that an answer names.

    Raises:
        ValueError: The answer names none.
    """
    workspace = _object(data.get("workspace"), "workspace")
    return Workspace(_text(workspace, "id"), _name(workspace))


def source_of(row: Object) -> Source:
    """
    Return the source that a row describes.

    Raises:
        ValueError: The row does not describe a source.
    """
    keys = row.get("writeKeys") or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("writeKeys is not a list of texts")
    enabled = row.get("enabled")
    if not isinstance(enabled, bool):
        raise ValueError("enabled is neither true nor false")  # noqa: TRY004 (as above)
    return Source(_text(row, "id"), _name(row), enabled, tuple(keys))


def page_of(data: Object, name: str) -> Page:
    """
    Return the page that an answer holds.

    Args:
        data: The `data` of the answer.
        name: The field that holds the rows. Where it is missing, the only list is taken.

    Raises:
        ValueError: The answer holds no list of objects, or a cursor that is no text.
    """
    rows = data.get(name)
    if rows is None:
        lists = [value for value in data.values() if isinstance(value, list)]
        rows = lists[0] if len(lists) == 1 else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{name} is not a list of rows")
    pagination = data.get("pagination")
    following = _object(pagination, "pagination").get("next") if pagination is not None else None
    if not isinstance(following, str | None):
        raise ValueError("the next page has no cursor")  # noqa: TRY004 (as above)
    return Page(rows, following or None)


def counted_of(row: Object) -> Counted:
    """
    Return the counts of a row.

    Raises:
        ValueError: The row holds no counts.
    """
    by_day: dict[date, int] = {}
    for at, count in _series(row):
        by_day[at] = by_day.get(at, 0) + count
    total = _count(row["total"]) if "total" in row else sum(by_day.values())
    return Counted(_label(row, "eventName"), _label(row, "discardReason"), total, by_day)


def _series(row: Object) -> Iterator[tuple[date, int]]:
    series = row.get("series") or []
    if not isinstance(series, list):
        raise ValueError("series is not a list")  # noqa: TRY004 (as above)
    for point in series:
        place = _object(point, "a point of a series")
        at = datetime.fromisoformat(_text(place, "time"))
        aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        yield aware.astimezone(UTC).date(), _count(place.get("count"))


def _count(value: Any) -> int:
    """Return a count. JSON may write a whole number with a point."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or value % 1 != 0:
        raise ValueError("a count is not a whole number")
    return int(value)


def _object(value: Any, name: str) -> Object:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")  # noqa: TRY004 (as above)
    return value


def _text(holder: Object, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is not a text")
    return value


def _label(row: Object, name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def _name(holder: Object) -> str:
    return _label(holder, "name") or _text(holder, "slug")
