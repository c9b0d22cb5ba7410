"""The commands with which a person settles what needs attention: `retry` and `dismiss`."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from sync.cli.errors import WRONG_USAGE, complain
from sync.cli.options import Options, command

if TYPE_CHECKING:
    from state import Store


@click.command()
@click.argument("message_ids", nargs=-1, metavar="MESSAGE_ID ...")
@click.option("--all", "every", is_flag=True, help="Every rejected event.")
@click.pass_obj
@command
def retry(options: Options, message_ids: tuple[str, ...], every: bool) -> int:
    """
    Make rejected events pending again: the next cycle sends them, with the same messageId.

    A running daemon goes on; the two take turns.

    \b
    Example:
      gladly-segment events --status rejected
      gladly-segment retry --all
    """
    if bool(message_ids) == every:
        raise click.UsageError("Name the events by their message ids, or say --all.")
    with _store_in_turn(options) as store:
        count, unknown = _apply(store.retry, message_ids)
    click.echo(f"{count} events are pending again.")
    for id_ in unknown:
        complain(f"{id_} is no rejected event. See: gladly-segment events --status rejected")
    return WRONG_USAGE if unknown else 0


@click.command()
@click.argument("ids", nargs=-1, metavar="ID ...")
@click.option("--all", "every", is_flag=True, help="Every one of them.")
@click.pass_obj
@command
def dismiss(options: Options, ids: tuple[str, ...], every: bool) -> int:
    """
    Unreadable lines and gaps, once seen: they are no longer listed, and the lines are erased.

    What was passed over is not read again by this; `resync` does that. A running daemon goes on; the two
    take turns.

    \b
    Example:
      gladly-segment status
      gladly-segment dismiss --all
    """
    if bool(ids) == every:
        raise click.UsageError("Name them by the ids that `status` shows, or say --all.")
    with _store_in_turn(options) as store:
        count, unknown = _apply(store.dismiss, ids)
    click.echo(f"{count} dismissed.")
    for id_ in unknown:
        complain(f"{id_} waits for nobody. See: gladly-segment status")
    return WRONG_USAGE if unknown else 0


def _apply(change: Callable[[Sequence[str] | None], int], ids: Sequence[str]) -> tuple[int, list[str]]:
    """
    Change the rows with these ids.

    Args:
        change: Changes the rows with these ids, or all rows for None, and returns how many it changed.
        ids: The ids. None of them means all rows.

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
        StateFileError: There is no state file. None is created.
        StateLockedError: Another command is writing.
    """
    from state import Reader, Store
    from state.file import RESYNC

    def show_wait() -> None:
        click.echo("Waiting for the cycle under way to end …", err=True)

    path = options.state_path
    with Reader(path):  # refuses a missing file, which `Store` would create
        pass
    with Store(path, RESYNC, waiting=show_wait) as store, store.turn():
        yield store
