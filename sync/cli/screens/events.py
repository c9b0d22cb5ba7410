"""What `events` prints: an event as Segment's debugger shows it."""

import json
import textwrap
from typing import Any

import click

from sync.cli.screens.layout import EVENT_STATUS_COLORS, shown_time
from sync.printable import printable

_INDENT = "    "


def event_lines(event: dict[str, Any], *, utc: bool = False, width: int | None = None) -> str:
    """
    Return the lines of one event: its name, time, status and ids; its reason; its properties.

    Args:
        event: The row, with its payload as an object.
        utc: Whether to show the time in UTC. It is shown in this machine's time zone otherwise.
        width: The width of the terminal. None writes each part on one line, however long it is.
    """
    status = f"{event['status']:<10}"
    lines = [f"{shown_time(event['occurred_at'], utc=utc)}  {event['event']:<27}  {status}"]
    for id_ in (event["conversation_id"], event["message_id"]):
        if width is None or len(lines[-1]) + 2 + len(id_) <= width:
            lines[-1] += f"  {id_}"
        else:
            lines.append(_INDENT + id_)
    if event["reason"]:
        lines += _wrapped(printable(event["reason"]), width)
    if event["payload"]:
        payload = event["payload"]
        content = payload.get("properties", payload.get("traits", {}))  # of a track event, or another one
        told = json.dumps(content, ensure_ascii=False)
        lines += _wrapped(printable(f"userId {payload.get('userId')}  {told}"), width)
    # The color comes last: it has characters that take no room.
    lines[0] = lines[0].replace(status, click.style(status, fg=EVENT_STATUS_COLORS[event["status"]]), 1)
    return "\n".join(lines)


def _wrapped(text: str, width: int | None) -> list[str]:
    """Return the lines of a text that stands below an event."""
    if width is None:
        return [_INDENT + text]
    return textwrap.wrap(
        text,
        width,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
