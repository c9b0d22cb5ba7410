"""What `explain` prints: one conversation, its changes with the decisions they led to, its events."""

from typing import Any

import click

from sync.cli.screens.layout import EVENT_STATUS_COLORS, show_line, shown_time
from sync.printable import printable


def show_explanation(found: dict[str, Any]) -> None:
    """
    Print everything that is stored about one conversation.

    Args:
        found: `conversation` (a row or None), `changes` and `events` (rows, oldest first).
    """
    if found["conversation"]:
        _show_conversation(found["conversation"])
    click.echo("\nchanges, as Gladly recorded them")
    for change in found["changes"]:
        _show_change(change)
    if not found["changes"]:
        click.echo("  none: older than state.retention")
    click.echo("\nevents")
    for event in found["events"]:
        _show_event(event)
    if not found["events"]:
        click.echo("  none: no change led to an event")


def _exact(text: str) -> str:
    return shown_time(text, exact=True)


def _show_conversation(conversation: dict[str, Any]) -> None:
    show_line("conversation", conversation["id"])
    show_line("customer", conversation["customer_id"])
    show_line("status", conversation["status"])
    show_line("created", _exact(conversation["created_at"]) if conversation["created_at"] else "not known")
    if conversation["closed_at"]:
        show_line("closed", _exact(conversation["closed_at"]))


def _show_change(change: dict[str, Any]) -> None:
    states = f"{change['status_before'] or '-'} → {change['status_after']}"
    meant = click.style(change["transition"], bold=True) if change["transition"] else "nothing new"
    click.echo(
        f"  {_exact(change['recorded_at'])}  {change['type']:<15}  {states:<17}  {meant}: {change['why']}"
    )


def _show_event(event: dict[str, Any]) -> None:
    status = click.style(event["status"], fg=EVENT_STATUS_COLORS[event["status"]])
    when = f" at {_exact(event['delivered_at'])}" if event["delivered_at"] else ""
    attempts = f", {event['attempts']} attempts" if event["attempts"] != 1 else ""
    reason = f": {printable(event['reason'])}" if event["reason"] else ""
    click.echo(f"  {_exact(event['occurred_at'])}  {event['event']}\n    {status}{when}{attempts}{reason}")
    if event["next_attempt_at"]:
        waits_for, tried = printable(event["waits_for"] or "-"), event["attempts"]
        click.echo(
            f"    waits for Gladly's answer to {waits_for}, tried {tried} times,"
            f" next at {_exact(event['next_attempt_at'])}"
        )
    click.echo(f"    messageId {event['message_id']}")
