"""What `status` prints."""

from pathlib import Path
from typing import Any

import click

from state.instants import short_duration
from state.queries.status import EVENTS_API_REACH_S
from sync.cli.screens.layout import LABEL_WIDTH, show_line, shown_time
from sync.printable import printable

_OUTCOME_COLORS = {"ok": "green", "degraded": "yellow", "failed": "red"}


def show_status(status: dict[str, Any], path: Path) -> None:
    """
    Print where the sync stands and what needs a person.

    Args:
        status: The figures, as `state.reader.read_status` returns them.
        path: The path of the state file.
    """
    there = "" if path.exists() else "  (does not exist yet; the first cycle creates it)"
    show_line("state file", f"{path}{there}")
    if status["watermark"] is None:
        show_line("watermark", "none yet; the first cycle sets it")
    else:
        show_line(
            "watermark", f"{shown_time(status['watermark'])}  ({short_duration(status['lag_seconds'])} ago)"
        )
        show_line("gap clock", _gap_clock(status["gap_seconds_left"]))
    show_line("daemon", _daemon(status["daemon"], status["expected_cycles"]))
    show_line("last poll", _last_poll(status["last_poll"]))
    if status["last_poll"] and status["last_poll"]["outcome"] == "failed":
        show_line("last success", shown_time(status["last_success"]) if status["last_success"] else "never")
    waited_s = status["oldest_pending_seconds"]
    oldest = "" if waited_s is None else f"  (oldest pending: {short_duration(waited_s)})"
    show_line("events", _counts(status["events"]) + oldest)
    show_line("conversations", _counts(status["conversations"]))
    show_line("proved until", status["proved_until"] or "no day yet; the audit proves past days")
    requests, share = status["requests_last_hour"], status["rate_limit_share"]
    show_line("requests", f"{requests} in the last hour, {share:.1%} of what Gladly allows")
    _show_needs(status["needs_attention"], status["needs_attention_more"])


def _gap_clock(left_s: float) -> str:
    left = f"{short_duration(left_s)} left" if left_s > 0 else "run out"
    older = "" if left_s > 0 else "; the report has older days"
    return click.style(left, fg=_gap_color(left_s)) + f"; Gladly's Events API goes back 24h{older}"


def _gap_color(left_s: float) -> str:
    if left_s < EVENTS_API_REACH_S / 4:
        return "red"
    return "yellow" if left_s < EVENTS_API_REACH_S / 2 else "green"


def _daemon(daemon: dict[str, Any], expected: dict[str, Any] | None) -> str:
    if daemon["running"]:
        return "running" if daemon["pid"] is None else f"running (process {daemon['pid']})"
    if expected is not None and expected["role"] == "once":
        return f"not running; `once` last ran at {shown_time(expected['updated_at'])}"
    return click.style("not running", fg="yellow")


def _last_poll(poll: dict[str, Any] | None) -> str:
    if poll is None:
        return "none yet"
    figures = ", ".join(
        f"{poll[name]} {name}" for name in ("changes", "created", "closed", "delivered", "requests")
    )
    outcome = click.style(poll["outcome"], fg=_OUTCOME_COLORS.get(poll["outcome"], "red"))
    error = f"\n{'':<{LABEL_WIDTH}}{printable(poll['error'])}" if poll["error"] else ""
    return f"{shown_time(poll['finished_at'])}  {outcome}  {figures}{error}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def _show_needs(needs: list[dict[str, Any]], more: dict[str, int]) -> None:
    if not needs:
        show_line("needs you", click.style("nothing", fg="green"))
    for need in needs:
        many = f" ({need['count']} with the same reason)" if need["count"] > 1 else ""
        said = printable(f"{need['what']}{many}: {need['reason']}")
        show_line("needs you", click.style(said, fg="red"))
        show_line("", f"{shown_time(need['since'])}  {need['command']}")
    if more:
        kinds = ", ".join(f"{count} {what}" for what, count in more.items())
        show_line("needs you", click.style(f"and {sum(more.values())} more: {kinds}", fg="red"))
        show_line("", "gladly-segment status --json shows all")
