"""
Compare what Gladly's own integration delivered with `events` (semantics 6.5).

Their events are put into a table on the disk, in a directory that only this user can read. Both sides are
then read in the order of their conversations, a page at a time. So memory stays flat, and no transaction on
the state file is long. The state file is read only.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from state.instants import to_text
from state.reader import Reader
from sync.audit.compare_fields import differences
from sync.audit.compare_files import BadInputError, Input, Other, Theirs, Unreadable
from sync.audit.compare_pairs import Ours, pairs
from sync.audit.compare_result import Alone, Result
from sync.events.options import EventOptions

_PAGE = 2_000
_CACHE_KIB = 16_384


class Progress(NamedTuple):
    """
    Say how far a comparison has come.

    Attributes:
        stage: `reading`, or `comparing`.
        done: How much of the stage is done, from 0 to 1; None where it is not known.
        lines: How many lines were read, or how many of their events were compared.
    """

    stage: str
    done: float | None
    lines: int


def compare(
    given: Input,
    reader: Reader,
    options: EventOptions,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Result:
    """
    Compare the files with the state file.

    Args:
        given: What Gladly's integration delivered.
        reader: The state file.
        options: The settings of the events, which explain some differences.
        since: Leave out what happened before this instant.
        until: Leave out what happened after it.
        on_progress: Told now and then how far it has come.

    Raises:
        BadInputError: The files cannot be read, or hold no event of a conversation.
        StateFileError: The state file is damaged.
    """
    result = Result()
    with (
        tempfile.TemporaryDirectory(prefix="gladly-segment-compare-") as directory,
        closing(_table(Path(directory) / "theirs.db")) as table,
    ):
        for batch in _batches(_read(given, result, on_progress)):
            table.executemany("INSERT INTO theirs VALUES (?, ?, ?, ?, ?, ?, ?)", batch)
        _refuse_if_nothing_was_read(result)
        table.execute("CREATE INDEX in_order ON theirs (conversation_id, event, received_at)")
        bounds = (to_text(since) if since else "", to_text(until) if until else "~")
        _Join(table, reader, options, bounds, result, on_progress).run()
    return result


def _refuse_if_nothing_was_read(result: Result) -> None:
    if result.events_read:
        return
    if result.unreadable_count:
        first = result.unreadable[0]
        raise BadInputError(
            f"No event of a conversation could be read; {result.unreadable_count} lines are unreadable. The "
            f"first is {first.where}: {first.why}. Give Segment's raw events, or a warehouse table as CSV."
        )
    raise BadInputError(
        f"No event of a conversation is among the {result.lines} lines that were read. Give the events of "
        "the source that Gladly's integration writes to."
    )


def _table(path: Path) -> sqlite3.Connection:
    table = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
        table.execute(f"PRAGMA {pragma}")
    table.execute(
        "CREATE TABLE theirs (event TEXT, conversation_id TEXT, message_id TEXT, received_at TEXT,"
        " stamp TEXT, fields BLOB, is_row INTEGER)"
    )
    table.execute(
        "CREATE TABLE alone (is_ours INTEGER, at TEXT, event TEXT, conversation_id TEXT, status TEXT,"
        " reason TEXT)"
    )
    table.execute("BEGIN")  # one transaction for everything, which nobody needs afterwards
    return table


def _read(given: Input, result: Result, on_progress: Callable[[Progress], None]) -> Iterator[Theirs]:
    """Yield their events, and count the other lines."""
    total = given.bytes_in_all
    for line in given.lines():
        result.lines += 1
        if result.lines % 1000 == 0:
            on_progress(Progress("reading", given.bytes_read / total if total else None, result.lines))
        if isinstance(line, Theirs):
            result.events_read += 1
            yield line
        elif isinstance(line, Unreadable):
            result.note_unreadable(line)
        else:
            assert isinstance(line, Other)
            result.note_other(line.name)


def _batches(events: Iterable[Theirs]) -> Iterator[list[Theirs]]:
    batch: list[Theirs] = []
    for event in events:
        batch.append(event)
        if len(batch) == 1000:
            yield batch
            batch = []
    yield batch


class _Join:
    """
    Both sides, conversation by conversation.

    Args:
        table: Their events.
        reader: Our events.
        options: The settings of the events.
        bounds: The instants between which events are compared, as text.
        result: Is told what is found.
        on_progress: Is told how far it has come.
    """

    def __init__(
        self,
        table: sqlite3.Connection,
        reader: Reader,
        options: EventOptions,
        bounds: tuple[str, str],
        result: Result,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._table = table
        self._reader = reader
        self._options = options
        self._since, self._until = bounds
        self._result = result
        self._on_progress = on_progress
        self._first, self._last = "~", ""
        # When Segment received the first and the last of their events that are here, too.
        self._first_received, self._last_received = "~", ""
        self._compared = 0

    def run(self) -> None:
        """Find what each side has, and what of it differs."""
        alone: list[tuple[Any, ...]] = []
        for ours, theirs in self._groups():
            for pair in pairs(ours, self._without_repeats(theirs)):
                alone += self._judge(*pair)
            if len(alone) >= 1000:
                self._table.executemany("INSERT INTO alone VALUES (?, ?, ?, ?, ?, ?)", alone)
                alone = []
        self._table.executemany("INSERT INTO alone VALUES (?, ?, ?, ?, ?, ?)", alone)
        self._judge_what_stands_alone()

    def _groups(self) -> Iterator[tuple[list[Ours], list[Theirs]]]:
        """Yield both sides of each conversation's event of one name."""
        left = groupby(self._ours(), key=itemgetter(0))
        right = groupby(self._theirs(), key=itemgetter(0))
        ours, theirs = next(left, None), next(right, None)
        while ours is not None or theirs is not None:
            id_ = min(side[0] for side in (ours, theirs) if side is not None)
            here: list[Ours] = []
            there: list[Theirs] = []
            if ours is not None and ours[0] == id_:
                here = list(ours[1])
                ours = next(left, None)
            if theirs is not None and theirs[0] == id_:
                there = [event for _, event in theirs[1]]
                theirs = next(right, None)
            names = dict.fromkeys([*(event.event for event in here), *(event.event for event in there)])
            for name in names:
                yield [e for e in here if e.event == name], [e for e in there if e.event == name]

    def _ours(self) -> Iterator[Ours]:
        last = ""
        while page := self._reader.events_by_conversation(last, _PAGE):
            yield from map(Ours._make, page)
            last = page[-1][0]

    def _theirs(self) -> Iterator[tuple[str, Theirs]]:
        rows = self._table.execute(
            "SELECT * FROM theirs INDEXED BY in_order ORDER BY conversation_id, event, received_at"
        )
        for row in rows:
            self._compared += 1
            if self._compared % 1000 == 0:
                done = self._compared / self._result.events_read
                self._on_progress(Progress("comparing", done, self._compared))
            theirs = Theirs._make(row)
            yield theirs.conversation_id, theirs

    def _without_repeats(self, theirs: list[Theirs]) -> list[Theirs]:
        """Return their events without repeats, which have the same messageId."""
        seen: set[str] = set()
        found = []
        for event in theirs:
            if event.message_id and event.message_id in seen:
                self._result.repeats += 1
                continue
            seen.add(event.message_id)
            found.append(event)
        return found

    def _judge(self, ours: Ours | None, theirs: Theirs | None) -> Iterator[tuple[Any, ...]]:
        """Compare two that belong together. Yield a row for one that stands alone, to be judged later."""
        if theirs is not None:
            at = ours.occurred_at if ours is not None else theirs.received_at or theirs.stamp
            self._first = min(self._first, at or "~")
            self._last = max(self._last, theirs.received_at, at)
        if ours is None and theirs is not None:
            yield 0, theirs.received_at or theirs.stamp, theirs.event, theirs.conversation_id, "", ""
        elif theirs is None and ours is not None:
            yield 1, ours.occurred_at, ours.event, ours.conversation_id, ours.status, ours.reason or ""
        elif ours is not None and theirs is not None:
            if self._since <= ours.occurred_at <= self._until:
                self._first_received = min(self._first_received, theirs.received_at or "~")
                self._last_received = max(self._last_received, theirs.received_at)
                self._compare_fields(ours, theirs)
            else:
                self._result.outside_theirs += 1

    def _compare_fields(self, ours: Ours, theirs: Theirs) -> None:
        self._result.matched += 1
        if ours.status != "delivered":
            self._result.note_undelivered(
                Alone(ours.event, ours.conversation_id, ours.status, ours.reason or "")
            )
        if ours.payload is None:
            self._result.erased += ours.status == "delivered"
            return
        sent = msgspec.json.decode(ours.payload)
        here = {"userId": sent.get("userId"), "timestamp": sent.get("timestamp")} | sent.get("properties", {})
        there = msgspec.json.decode(theirs.fields)
        if theirs.stamp:
            there["timestamp"] = theirs.stamp
        else:
            del here["timestamp"]
        for difference in differences(here, there, self._options, is_row=bool(theirs.is_row)):
            self._result.note_difference(ours.event, ours.conversation_id, difference)

    def _judge_what_stands_alone(self) -> None:
        """
        Judge what only one side has, where both sides have everything.

        That is the interval from where both begin to where one ends. Theirs begins with the hour of their
        first event, because exports and syncs to a warehouse are cut at whole hours or days. So what lacks
        at the very beginning is found as well. What Segment received between two events
        that both sides have belongs to it as well, however late it was received.
        """
        begin, end = self._reader.covered()
        since = max(_hour_of(self._first), begin or "~", self._since)
        until = min(self._last, end or "", self._until)
        if since <= until:
            self._result.interval = (since, until)
        rows = self._table.execute(
            "SELECT is_ours, at, event, conversation_id, status, reason FROM alone ORDER BY rowid"
        )
        for is_ours, at, event, conversation_id, status, reason in rows:
            alone = Alone(event, conversation_id, status, reason)
            is_between = not is_ours and self._first_received <= at <= self._last_received
            if not (is_between or since <= at <= until):
                self._result.outside_ours += is_ours
                self._result.outside_theirs += not is_ours
            elif is_ours:
                self._result.note_ours(
                    alone, is_expected=event.endswith("Reopened") and self._options.reopened
                )
            else:
                self._result.note_theirs(alone)


def _hour_of(instant: str) -> str:
    """Return the beginning of the hour of an instant, as text. What is no instant stays as it is."""
    return f"{instant[:13]}:00:00.000Z" if len(instant) > 13 else instant
