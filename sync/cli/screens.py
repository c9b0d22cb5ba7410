"""What a person sees in a terminal: the words and colours of `status`, `events` and the watermark."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from state.file import is_there
from state.instants import short_duration, to_text, utc_now
from state.reader import Reader
from state.status import EVENTS_API_REACH_S, read_status
from sync.printable import printable

_STATUS_COLORS = {"delivered": "green", "pending": "yellow", "rejected": "red", "suppressed": "blue"}

# `events --follow` looks this often.
_FOLLOW_EVERY_S = 0.5


def status_screen(status: dict[str, Any], path: Path) -> None:
    """One calm screen."""
    watermark = status["watermark"]
    _line(
        "state file", str(path) + ("" if path.exists() else "  (not there yet: the first cycle creates it)")
    )
    if watermark is None:
        _line("watermark", "none yet: the first cycle sets it")
    else:
        left = status["gap_seconds_left"]
        color = "green"
        if left < EVENTS_API_REACH_S / 2:
            color = "red" if left < EVENTS_API_REACH_S / 4 else "yellow"
        _line("watermark", f"{watermark}  ({short_duration(status['lag_seconds'])} ago)")
        _line("gap clock", click.style(f"{short_duration(left)} left", fg=color) + " of the Events API's 24h")
    _line("last poll", _poll_words(status["last_poll"]))
    if status["last_poll"] and status["last_poll"]["outcome"] == "failed":
        _line("last success", status["last_success"] or "never")
    waited = status["oldest_pending_seconds"]
    oldest = f"  (oldest pending: {short_duration(waited)})" if waited is not None else ""
    _line("events", _counts(status["events"]) + oldest)
    _line("conversations", _counts(status["conversations"]))
    requests, share = status["requests_last_hour"], status["rate_limit_share"]
    _line("requests", f"{requests} in the last hour, {share:.1%} of what Gladly allows")
    needs = status["needs_attention"]
    if not needs:
        _line("needs you", click.style("nothing", fg="green"))
    for need in needs:
        _line("needs you", click.style(printable(f"{need['what']}: {need['reason']}"), fg="red"))
        _line("", f"{need['since']}  {need['command']}")


def _poll_words(poll: dict[str, Any] | None) -> str:
    if poll is None:
        return "none yet"
    color = {"ok": "green", "degraded": "yellow"}.get(poll["outcome"], "red")
    figures = ", ".join(
        f"{poll[name]} {name}" for name in ("changes", "created", "closed", "delivered", "requests")
    )
    words = f"{poll['finished_at']}  {click.style(poll['outcome'], fg=color)}  {figures}"
    return words + (f"\n{'':<15}{printable(poll['error'])}" if poll["error"] else "")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def _line(name: str, text: str) -> None:
    click.echo(f"{name:<15}{text}")


def event_line(event: dict[str, Any]) -> str:
    """An event on two lines: what it is, and its properties."""
    status = click.style(f"{event['status']:<10}", fg=_STATUS_COLORS[event["status"]])
    head = (
        f"{event['occurred_at']}  {event['event']:<27}  {status}  "
        f"{event['conversation_id']}  {event['message_id']}"
    )
    if event["reason"]:
        head += f"\n    {printable(event['reason'])}"
    if event["payload"]:
        properties = json.dumps(event["payload"]["properties"], ensure_ascii=False)
        shown = printable(f"userId {event['payload']['userId']}  {properties}")
        head += f"\n    {shown}"
    return head


def explanation(path: Path, conversation_id: str) -> dict[str, Any] | None:
    """All that is stored of one conversation; None where nothing is."""
    if not is_there(path):
        return None
    with Reader(path) as reader:
        conversation = reader.conversation(conversation_id)
        events = reader.events(conversation=conversation_id, limit=10_000)[::-1]
        if conversation is None and not events:
            return None
        changes = reader.changes_of(conversation_id)
    return {"conversation": conversation, "changes": changes, "events": events}


def explain_screen(found: dict[str, Any]) -> None:
    """One screen: the conversation, its changes and what they meant, its events."""
    conversation = found["conversation"]
    if conversation:
        _line("conversation", conversation["id"])
        _line("customer", conversation["customer_id"])
        _line("status", conversation["status"])
        _line("created", conversation["created_at"] or "not known")
        if conversation["closed_at"]:
            _line("closed", conversation["closed_at"])
    click.echo("\nchanges, as Gladly recorded them")
    for change in found["changes"]:
        states = f"{change['status_before'] or '-'} → {change['status_after']}"
        meant = click.style(change["transition"], bold=True) if change["transition"] else "nothing new"
        click.echo(f"  {change['recorded_at']}  {change['type']:<15}  {states:<17}  {meant}: {change['why']}")
    if not found["changes"]:
        click.echo("  none kept (state.retention)")
    click.echo("\nevents")
    for event in found["events"]:
        status = click.style(event["status"], fg=_STATUS_COLORS[event["status"]])
        when = f" at {event['delivered_at']}" if event["delivered_at"] else ""
        reason = f": {printable(event['reason'])}" if event["reason"] else ""
        attempts = f", {event['attempts']} attempts" if event["attempts"] != 1 else ""
        click.echo(f"  {event['occurred_at']}  {event['event']}\n    {status}{when}{attempts}{reason}")
        click.echo(f"    messageId {event['message_id']}")
    if not found["events"]:
        click.echo("  none: no change of it meant a transition that is sent")


def follow_events(
    reader: Reader, last: int, *, status: str | None, conversation: str | None
) -> Iterator[dict[str, Any]]:
    """Events as they arrive in the state file, for ever."""
    while True:
        for place, event in reader.events_after(last, status=status, conversation=conversation):
            last = place
            yield event
        time.sleep(_FOLLOW_EVERY_S)


def reset_meaning(path: Path, to: datetime, *, replay: bool) -> str:
    """
    What moving the watermark to *to* means, before it is done.

    Raises:
        click.UsageError: *to* lies in the future.
    """
    now = utc_now()
    if to > now:
        raise click.UsageError(
            f"{to_text(to)} lies in the future; the sync would wait for it and read nothing."
        )
    position = read_status(path, now)["watermark"]
    said = [f"Watermark: {position or 'none yet'} → {to_text(to)}."]
    if not is_there(path):
        return said[0]
    if position and to_text(to) > position:
        said.append(f"Changes recorded between {position} and {to_text(to)} will never be read.")
    with Reader(path) as reader:
        counts = reader.counts_since(to_text(to))
    said.append(
        f"The next cycle reads every change since then again. {counts['events']} events recorded since then "
        "are recognised and not sent twice."
    )
    if replay:
        said.append(f"--replay sends {counts['replayable']} delivered events again, with their message ids.")
        if (now - to).total_seconds() > EVENTS_API_REACH_S:
            said.append(
                "Segment drops repeats for about 24 hours only: older ones arrive in your destinations twice."
            )
    return "\n".join(said)
