"""The command for a person who asks to be forgotten: `forget`."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sync.cli.errors import FAILED, WRONG_USAGE, complain, note
from sync.cli.mending.outbox import store_in_turn
from sync.cli.options import Options, command, json_option
from sync.cli.program import CommandOfAnId

if TYPE_CHECKING:
    from state.queries.persons import Person
    from state.store import Store

# The reason that the suppressed events give.
_REASON = "customer was forgotten on request"

# How long the file is tried to be rebuilt while somebody reads it, and how often, in seconds.
_REBUILT_WITHIN_S = 2.0
_TRY_EVERY_S = 0.2


@click.command(cls=CommandOfAnId)
@click.argument("customer_id", metavar="CUSTOMER_ID")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option("Print one JSON object: what was found, what was done, and what is left.")
@click.pass_obj
@command
def forget(options: Options, customer_id: str, yes: bool, as_json: bool) -> int:
    """
    Erase a customer who asks to be forgotten, and prove that nothing is left.

    It does what happens when Gladly deletes the customer: payloads are erased, events that are not sent yet
    are suppressed, and nothing of this customer is sent from then on. Everyone who was merged into the
    customer is forgotten, too. Then it looks for their name, addresses and attributes in the bytes of the
    state file. Ids and times stay, so that nothing is sent twice. A daemon may be running: the two take
    turns.

    \b
    Example:
      gladly-segment events --email wren@example.com
      gladly-segment forget aUBU09foAHynsXEdvry9cQ
    """
    from state.search import count_in_files

    path = options.state_path
    person = _person(path, customer_id)
    if not person.is_known:
        complain(
            f"Nothing is stored of customer {customer_id}. Check the id. To find it by e-mail: "
            "gladly-segment events --email ADDRESS"
        )
        return WRONG_USAGE
    if person.lives_on_as is not None:
        complain(
            f"Customer {customer_id} was merged into {person.lives_on_as} and lives on there. "
            f"Forget that one: gladly-segment forget {person.lives_on_as}"
        )
        return WRONG_USAGE
    if not yes:
        _ask(person)
    places = count_in_files(path, person.texts)
    with store_in_turn(options, wiping=_at_once()) as store:
        person = _person(path, customer_id)  # the cycle that ended meanwhile may have written more
        delay = _erase(store, customer_id, person)
    left = _person(path, customer_id)
    still = {text: count for text, count in count_in_files(path, person.texts).items() if count}
    remains = _what_is_left(path, person, left, still)
    found = {
        "customer_id": customer_id,
        "ids": person.ids,
        "found": {**person.counts, "texts": len(person.texts), "places": sum(places.values())},
        "left": remains,
        "delay": delay,
        "proved": delay is None and not any(remains.values()),
    }
    if as_json:
        click.echo(json.dumps(found))
    else:
        _show(found, path)
    if not found["proved"]:
        complain(
            f"It is not proved that nothing is left of customer {customer_id}. Nothing of this customer is "
            "sent. End what reads the state file, make room on its disk, and give the same command again."
        )
        return FAILED
    user_ids = [text for text, name in person.texts.items() if name == "userId"]
    _say_what_it_does_not_reach(path, [*person.ids, *user_ids])
    return 0


def _person(path: Path, customer_id: str) -> "Person":
    """Return what is stored of the customer, and of everyone merged into this customer."""
    from state.queries.persons import person
    from state.reader import Reader

    with Reader(path) as reader:
        return reader.ask(person, customer_id)


def _ask(person: "Person") -> None:
    """
    Ask whether to go on.

    Raises:
        click.UsageError: There is no terminal to ask at.
        click.Abort: The answer is no.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal, forget cannot ask for confirmation. Add --yes.")
    counts, others = person.counts, len(person.ids) - 1
    click.echo(
        f"Customer {person.ids[0]}" + (f", with {others} merged into this customer" if others else "") + ": "
        f"{_many(counts, 'conversations')}, {_many(counts, 'events')}, {_many(counts, 'payloads')}.",
        err=True,
    )
    click.confirm("Forget this customer? Nothing brings the data back.", abort=True, err=True)


def _many(counts: dict[str, int], what: str) -> str:
    """Return a count with its noun."""
    return f"{counts[what]} {what.removesuffix('s') if counts[what] == 1 else what}"


def _at_once() -> Any:
    """Return the timing by which the file is rebuilt at once, however large it is."""
    from state.writer.erasure import WipeTiming

    return WipeTiming(small_bytes=1 << 62, again_after_s=0.0)


def _erase(store: "Store", customer_id: str, person: "Person") -> str | None:
    """
    Suppress and erase, and overwrite what that leaves in the file.

    Return why the file could not be rebuilt. Return None where it was.
    """
    from state.instants import utc_now
    from state.records import TakenIn
    from state.writer.erasure import DEFAULT_WIPE_TIMING

    if (size := store.path.stat().st_size) > DEFAULT_WIPE_TIMING.small_bytes:
        note(f"The state file has {size // 1_000_000} MB. To overwrite what is erased, it is rebuilt …")
    now = utc_now()
    store.quarantine.erase_lines([*person.ids, *person.texts])
    store.commit(TakenIn(deletions={customer_id: (now, _REASON)}), now)
    until = time.monotonic() + _REBUILT_WITHIN_S
    why: list[str] = []
    while time.monotonic() < until:
        store.erasure.wipe(now, lambda *_, **figures: why.append(str(figures.get("reason"))))
        if why:
            return f"the state file cannot be rebuilt: {why[0]}"
        if store.erasure.is_done:
            return None
        time.sleep(_TRY_EVERY_S)
    return "another program reads the state file"


def _what_is_left(path: Path, before: "Person", left: "Person", still: dict[str, int]) -> dict[str, int]:
    """
    Return what is left of the person, by kind. Every figure is 0 where nothing is.

    Args:
        path: The state file.
        before: What was stored.
        left: What is stored now.
        still: The texts of the person that stand in the file's bytes, and how often.
    """
    from state.queries.persons import where_texts_stand
    from state.reader import Reader

    rows: dict[str, dict[str, int]] = {}
    if still:
        with Reader(path) as reader:
            rows = reader.ask(where_texts_stand, list(still), before.ids)
    return {
        "payloads": left.counts["payloads"],
        "undelivered": left.counts["undelivered"],
        "open_conversations": left.counts["open_conversations"],
        "lines": left.counts["lines"],
        "rows": sum(row["own"] + row["copied"] for row in rows.values()),
        # In the bytes and in no row: a free page, or the log.
        "free_places": sum(count for text, count in still.items() if not any(rows[text].values())),
    }


def _show(found: dict[str, Any], path: Path) -> None:
    from sync.cli.screens.layout import show_line

    was, left, ids = found["found"], found["left"], found["ids"]
    merged = f", and {len(ids) - 1} who were merged into this customer" if len(ids) > 1 else ""
    show_line("customer", f"{ids[0]}{merged}")
    show_line(
        "found",
        f"{_many(was, 'conversations')}, {_many(was, 'events')} ({was['undelivered']} not sent), "
        f"{_many(was, 'payloads')}",
    )
    gone = {name: was[name] - left[name] for name in ("payloads", "lines", "undelivered")}
    show_line("erased", f"{_many(gone, 'payloads')}, {_many(gone, 'lines')} in quarantine")
    show_line("suppressed", f"{_many({'events': gone['undelivered']}, 'events')}, and all that may come")
    if was["texts"]:
        show_line(
            "searched",
            f"{path.name} and its log, for {_many(was, 'texts')} of the payloads: "
            f"{_many(was, 'places')} before, {left['free_places'] + left['rows']} now",
        )
    else:
        show_line("searched", "nothing: no payload was kept, so no text of this customer is known")
    if found["proved"]:
        show_line("left", click.style("nothing", fg="green") + ", except ids and times")
        return
    figures = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in left.items() if count)
    show_line("left", click.style(figures or "perhaps copies in the file", fg="red"))
    if found["delay"]:
        show_line("", str(found["delay"]))


def _say_what_it_does_not_reach(path: Path, user_ids: list[str]) -> None:
    """Say on standard error where the person may still be, and what to do there."""
    from state.role_watch import RoleWatch

    note(
        f"Segment has what was sent: ask it to delete the userId {', '.join(user_ids)}. "
        "Copies of the state file have it, too."
    )
    with RoleWatch(path) as watch:
        if watch.holder().is_there:
            note("A daemon runs. It may have the profile in memory until it ends, and sends nothing of it.")
