"""What `events` prints: an event as Segment's debugger shows it."""

import json
from typing import Any

import click

from sync.cli.screens.layout import EVENT_STATUS_COLORS
from sync.printable import printable


def event_lines(event: dict[str, Any]) -> str:
    """Return the lines of one event: its name, time, status and ids; its reason; its properties."""
    status = click.style(f"{event['status']:<10}", fg=EVENT_STATUS_COLORS[event["status"]])
    lines = [
        f"{event['occurred_at']}  {event['event']:<27}  {status}  "
        f"{event['conversation_id']}  {event['message_id']}"
    ]
    if event["reason"]:
        lines.append(printable(event["reason"]))
    if event["payload"]:
        properties = json.dumps(event["payload"]["properties"], ensure_ascii=False)
        lines.append(printable(f"userId {event['payload']['userId']}  {properties}"))
    return "\n    ".join(lines)
