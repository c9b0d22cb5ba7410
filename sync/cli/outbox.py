"""The commands for what needs a person: `retry` for events, `dismiss` for what is given up or was seen."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from sync.cli.errors import WRONG_USAGE, complain
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
    with _store_in_turn(options) as store:
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

    These are unreadable lines, gaps and audited days. Events that are held back are given up.

    `status` no longer lists them. The lines are erased, and the events are suppressed. To read the time of a
    line or a gap again, use `resync`; to audit a day again, `audit --day`. A daemon may be running: the two
    take turns.

    \b
    Example:
      gladly-segment status
      gladly-segment dismiss --all
      gladly-segment dismiss --all --what 'unreadable line'
    """
    from state.queries.attention import DISMISSIBLE

    if bool(ids) == every:
        raise click.UsageError("Give the ids that `status` shows, or --all.")
    if what is not None and (not every or what not in DISMISSIBLE):
        raise click.UsageError(f"--what goes with --all, and names one of: {', '.join(DISMISSIBLE)}.")
    unknown: list[str] = []
    with _store_in_turn(options) as store:
        if what is not None and not (ids := tuple(_ids_of(options, what))):
            count = 0
        else:
            count, unknown = _dismiss(store, ids)
    click.echo(f"Dismissed: {count}.")
    if unknown:
        listed = set(_ids_of(options))
        for id_ in unknown:
            if id_ in listed:
                complain(f"{id_} cannot be dismissed. It goes when its cause does: gladly-segment status")
            else:
                complain(f"Nothing with the id {id_} needs attention. See: gladly-segment status")
    return WRONG_USAGE if unknown else 0


def _dismiss(store: "Store", ids: tuple[str, ...]) -> tuple[int, list[str]]:
    """Dismiss what has these ids, or everything for none. Return how much it was, and the unknown ids."""
    count, unknown = 0, list(ids)
    for change in (store.quarantine.dismiss, store.audits.dismiss, store.recorded.dismiss):
        if unknown or not ids:
            done, unknown = _apply(change, unknown)
            count += done
    return count, unknown


def _ids_of(options: Options, what: str | None = None) -> list[str]:
    """Return the ids of what needs a person, or of one kind of it."""
    from state.reader import Reader

    with Reader(options.state_path) as reader:
        return reader.ids_needing_attention(what)


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
def _store_in_turn(options: Options) -> "Iterator[Store]":
    """
    Open the state file for writing between two cycles of a daemon that may be running.

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
    with Store(path, RESYNC, waiting=show_wait) as store, store.turn():
        yield store
