"""What `compare` prints: a line for each count, and examples below it."""

from typing import Any

import click

from sync.cli.screens.layout import show_line
from sync.printable import printable


def show_comparison(found: dict[str, Any]) -> None:
    """
    Print what a comparison found.

    Args:
        found: `sync.audit.compare_result.Result.as_object`.
    """
    _show_what_was_read(found)
    interval = found["interval"]
    outside = found["outside_the_interval"]
    between = f"{interval['since']} to {interval['until']}" if interval else "none that both sides cover"
    show_line("interval", between)
    if any(outside.values()):
        show_line(
            "", f"outside of it, not compared: {outside['theirs']} of theirs, {outside['ours']} of ours"
        )
    erased = f"; {found['erased']} by the event alone: the payload is erased here" if found["erased"] else ""
    show_line("matched", f"{found['matched']}{erased}")
    for row in found["differences"]:
        expected = f" (expected: {row['expected_by']})" if row["expected_by"] else ""
        _show("differs", f"{row['count']} x {row['property']}: {row['kind']}{expected}", row)
    for row in found["not_delivered_here"]:
        note = f" (expected: {row['expected_by']})" if row["expected_by"] else ""
        _show("not delivered", f"{row['count']} of theirs, here {_status(row)}{note}", row)
    for row in found["only_theirs"]:
        _show("only theirs", f"{row['count']} x {row['event']}", row)
    for row in found["only_ours"]:
        note = f" (expected: {row['expected_by']})" if row["expected_by"] else ""
        note = " (nobody sent it)" if row["status"] == "suppressed" else note
        _show("only ours", f"{row['count']} x {row['event']}, {_status(row)}{note}", row)
    if found["agree"]:
        click.secho("Both sides agree.", fg="green")
    else:
        click.secho("The two sides do not agree.", fg="red")
        click.echo("What is known of one conversation: gladly-segment explain CONVERSATION_ID")


def _show_what_was_read(found: dict[str, Any]) -> None:
    show_line("read", f"{found['lines']} lines, {found['events']} events of conversations")
    if found["repeats"]:
        show_line("", f"{found['repeats']} repeats of a messageId")
    if found["skipped"]:
        names = sorted(found["skipped"].items(), key=lambda item: -item[1])
        more = f" and {len(names) - 5} more names" if len(names) > 5 else ""
        listed = ", ".join(f"{count} x {name}" for name, count in names[:5])
        show_line("skipped", f"{sum(found['skipped'].values())} other events: {listed}{more}")
    unreadable = found["unreadable"]
    if unreadable["count"]:
        show_line("unreadable", f"{unreadable['count']} lines, the first of which are:")
        for line in unreadable["examples"]:
            show_line("", f"{line['where']}: {line['why']}")


def _status(row: dict[str, Any]) -> str:
    return printable(f"{row['status']}: {row['reason']}" if row["reason"] else row["status"])


def _show(label: str, text: str, row: dict[str, Any]) -> None:
    show_line(label, text)
    for example in row["examples"]:
        values = [f"{side} {example[side]}" for side in ("here", "there") if side in example]
        values += [f"attributes {', '.join(example['attributes'])}"] if "attributes" in example else []
        tail = f": {'; '.join(values)}" if values else ""
        show_line("", f"  {example['conversation_id']}  {example['event']}{tail}")
