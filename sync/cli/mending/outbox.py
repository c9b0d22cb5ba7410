"""The commands for what needs a person: `retry` for events, `dismiss` for what is given up or was seen."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from sync.cli.errors import WRONG_USAGE, complain, note
from sync.cli.options import Options, command

if TYPE_CHECKING:
    from state.store import Store


@click.command()
@click.argument("message_ids", nargs=-1, metavar="MESSAGE_ID ...")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Retry every rejected or held back event.",
)
@click.pass_obj
@command
def retry(options: Options, message_ids: tuple[str, ...], every: bool) -> int:
    """
    Make rejected events pending again, and look held back events up again.

    The next cycle does it, with the same messageId. A daemon may be running: the two take turns.

    \b
    Example:
      gladly-segment events --status rejected
      gladly-segment retry --all
    """
    if bool(message_ids) == every:
        raise click.UsageError("Give the message ids of the events, or --all.")
    with store_in_turn(options) as store:
        count, unknown = _apply(store.outbox.retry, message_ids)
        held = 0
        if every or unknown:
            held, unknown = _apply(store.recorded.retry, unknown)
    click.echo(f"Events pending again: {count}.")
    if held:
        click.echo(f"Events to be looked up again: {held}.")
    for id_ in unknown:
        complain(f"{id_} is neither rejected nor held back. List what is: gladly-segment status")
    return WRONG_USAGE if unknown else 0


@click.command()
@click.argument("ids", nargs=-1, metavar="ID ...")
@click.option("--all", "every", is_flag=True, help="Dismiss everything that is listed and can be dismissed.")
@click.option("--what", metavar="KIND", help="With --all: only what is of this kind, such as 'gap'.")
@click.pass_obj
@command
def dismiss(options: Options, ids: tuple[str, ...], every: bool, what: str | None) -> int:
    """
    Take what you have seen off the list of what needs you.

    Rejected events and held back events are given up: they are suppressed and never sent. To send them, use
    `retry` instead. Unreadable lines are erased. To read the time of a line or a gap again, use `resync`; to
    audit a day again, `audit --day`. A daemon may be running: the two take turns.

    \b
    Example:
      gladly-segment status
      gladly-segment dismiss --all
      gladly-segment dismiss --all --what 'unreadable line'
    """
    from state.queries.attention import DISMISSIBLE, NOT_DISMISSIBLE

    if bool(ids) == every:
        raise click.UsageError("Give the ids that `status` shows, or --all.")
    if what in NOT_DISMISSIBLE:
        raise click.UsageError(f"{what!r} cannot be dismissed: {NOT_DISMISSIBLE[what]}")
    if what is not None and (not every or what not in DISMISSIBLE):
        raise click.UsageError(f"--what goes with --all, and names one of: {', '.join(DISMISSIBLE)}.")
    count, unknown = 0, list(ids)
    with store_in_turn(options) as store:
        if what is not None:
            unknown = [id_ for id_, kind in _listed(options).items() if kind == what]
        if unknown or what is None:
            count, unknown = _dismiss(store, unknown)
    click.echo(f"Dismissed: {count}.")
    return _say_what_stays(options, unknown, every=every and what is None)


def _dismiss(store: "Store", ids: Sequence[str]) -> tuple[int, list[str]]:
    """Dismiss what has these ids, or everything for none. Return how much it was, and the unknown ids."""
    count, unknown = 0, list(ids)
    for change in (
        store.quarantine.dismiss,
        store.audits.dismiss,
        store.recorded.dismiss,
        store.outbox.dismiss,
    ):
        if unknown or not ids:
            done, unknown = _apply(change, unknown)
            count += done
    return count, unknown


def _say_what_stays(options: Options, unknown: Sequence[str], *, every: bool) -> int:
    """
    Say of each id why it was not dismissed. Return the exit code.

    Args:
        options: The options of the program.
        unknown: The ids that were not dismissed.
        every: Whether everything was to be dismissed. What is still listed is then no mistake of the person.
    """
    from state.queries.attention import NOT_DISMISSIBLE

    if not unknown and not every:
        return 0
    listed = _listed(options)
    for id_ in unknown:
        if why := NOT_DISMISSIBLE.get(listed.get(id_, "")):
            complain(f"{id_} ({listed[id_]}) cannot be dismissed: {why}")
        else:
            complain(f"Nothing with the id {id_} needs attention. See: gladly-segment status")
    for what in dict.fromkeys(listed.values()) if every else ():
        if why := NOT_DISMISSIBLE.get(what):
            note(f"Still listed: {what}, which cannot be dismissed: {why}")
    return WRONG_USAGE if unknown else 0


def _listed(options: Options) -> dict[str, str]:
    """Return what kind of thing needs a person, by the id of each thing."""
    from state.reader import Reader

    with Reader(options.state_path) as reader:
        return reader.ids_needing_attention()


def _apply(change: Callable[[Sequence[str] | None], int], ids: Sequence[str]) -> tuple[int, list[str]]:
    """
    Change the rows with these ids.

    Args:
        change: Changes the rows with these ids, or all rows for None, and returns how many it changed.
        ids: The ids. An empty sequence means all rows.

    Returns: how many rows were changed, and the ids that no row has.
    """
    if not ids:
        return change(None), []
    unknown = [id_ for id_ in ids if not change([id_])]
    return len(ids) - len(unknown), unknown


@contextlib.contextmanager
def store_in_turn(options: Options, **more: Any) -> "Iterator[Store]":
    """
    Open the state file for writing between two cycles of a daemon that may be running.

    Args:
        options: The options of the program.
        more: What else `Store` takes.

    Raises:
        StateFileError: There is no state file. This function creates none.
        StateLockedError: Another command is writing.
    """
    from state.locks import RESYNC
    from state.reader import Reader
    from state.store import Store

    def show_wait() -> None:
        click.echo("Waiting for the running cycle to end …", err=True)

    path = options.state_path
    with Reader(path):  # refuses a missing file, which `Store` would create
        pass
    with Store(path, RESYNC, waiting=show_wait, **more) as store, store.turn():
        yield store
