"""What a comparison found: counts, and three examples of each (semantics 6.5)."""

from collections import Counter
from typing import Any, NamedTuple

from state.records import OTHER_INBOX, UNKNOWN_INBOX
from sync.audit.compare_fields import Difference
from sync.audit.compare_files import Unreadable
from sync.printable import printable

EXAMPLES = 3

# The most kinds that are told apart. Names and reasons come from outside.
_MOST_KINDS = 200

_SHOWN_UNREADABLE = 5


class Alone(NamedTuple):
    """
    Hold one event that one side has and the other has not, or that is not delivered here.

    Attributes:
        status: Its status here; empty for theirs.
        reason: Why it has that status, as far as it is known.
    """

    event: str
    conversation_id: str
    status: str = ""
    reason: str = ""


class _Tally:
    """Counts by kind, with the first examples of each."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.examples: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def add(self, kind: tuple[str, ...], example: dict[str, Any]) -> None:
        if kind not in self.counts and len(self.counts) >= _MOST_KINDS:
            kind = ("others",) + ("",) * (len(kind) - 1)
        self.counts[kind] += 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < EXAMPLES:
            examples.append({key: value for key, value in example.items() if value not in ("", [], ())})

    def listed(self, *names: str) -> list[dict[str, Any]]:
        return [
            dict(zip(names, kind, strict=True)) | {"count": count, "examples": self.examples[kind]}
            for kind, count in self.counts.most_common()
        ]


class Result:
    """
    Hold what a comparison found.

    Attributes:
        lines: How many lines were read.
        events_read: How many of them are events of a conversation.
        repeats: How many of these repeat another one's messageId.
        unreadable: The first lines that could not be read.
        unreadable_count: How many could not be read.
        interval: The instants between which both sides have everything, as text; None where there are none.
        matched: How many events both sides have.
        erased: How many of these have no payload here any more, so their properties are not compared.
        outside_theirs: How many of their events lie outside of the interval.
        outside_ours: How many of ours do, that they do not have.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.events_read = 0
        self.repeats = 0
        self.unreadable: list[Unreadable] = []
        self.unreadable_count = 0
        self.interval: tuple[str, str] | None = None
        self.matched = 0
        self.erased = 0
        self.outside_theirs = 0
        self.outside_ours = 0
        self._others: Counter[str] = Counter()
        self._differences = _Tally()
        self._undelivered = _Tally()
        self._only_theirs = _Tally()
        self._only_ours = _Tally()
        self._disagreements = 0

    def note_unreadable(self, line: Unreadable) -> None:
        """Count a line that could not be read."""
        self.unreadable_count += 1
        if len(self.unreadable) < _SHOWN_UNREADABLE:
            self.unreadable.append(Unreadable(printable(line.where), printable(line.why)))

    def note_other(self, name: str) -> None:
        """Count an event that is not compared."""
        self._others[name if name in self._others or len(self._others) < _MOST_KINDS else "others"] += 1

    def note_difference(self, event: str, conversation_id: str, difference: Difference) -> None:
        """Count a field that differs. One that a setting explains is no disagreement."""
        self._disagreements += not difference.expected_by
        self._differences.add(
            (difference.name, difference.kind.value, difference.expected_by),
            {
                "conversation_id": printable(conversation_id[:200]),
                "event": event,
                "here": difference.here,
                "there": difference.there,
                "attributes": list(difference.keys),
            },
        )

    def note_undelivered(self, alone: Alone) -> None:
        """
        Count an event that they delivered, and that is known here and not delivered.

        One whose inbox is not sent is no disagreement.
        """
        expected_by = "sync.inboxes" if alone.reason in (OTHER_INBOX, UNKNOWN_INBOX) else ""
        self._disagreements += not expected_by
        self._undelivered.add((alone.status, alone.reason, expected_by), _named(alone))

    def note_theirs(self, alone: Alone) -> None:
        """Count an event that only they have."""
        self._disagreements += 1
        self._only_theirs.add((alone.event,), _named(alone))

    def note_ours(self, alone: Alone, *, is_expected: bool) -> None:
        """
        Count an event that only we have.

        A suppressed event was sent by nobody, so both sides agree about it.

        Args:
            alone: The event.
            is_expected: Whether a setting asks for an event that Gladly's integration does not have.
        """
        expected_by = "sync.reopened" if is_expected else ""
        self._disagreements += alone.status != "suppressed" and not is_expected
        self._only_ours.add((alone.event, alone.status, alone.reason, expected_by), _named(alone))

    @property
    def agree(self) -> bool:
        """Whether both sides have the same events, with the same fields."""
        return self.matched > 0 and self._disagreements == 0

    def as_object(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON and for a screen."""
        since, until = self.interval or (None, None)
        return {
            "agree": self.agree,
            "interval": {"since": since, "until": until} if self.interval else None,
            "lines": self.lines,
            "events": self.events_read,
            "repeats": self.repeats,
            "skipped": dict(self._others.most_common()),
            "unreadable": {
                "count": self.unreadable_count,
                "examples": [line._asdict() for line in self.unreadable],
            },
            "matched": self.matched,
            "erased": self.erased,
            "differences": self._differences.listed("property", "kind", "expected_by"),
            "not_delivered_here": self._undelivered.listed("status", "reason", "expected_by"),
            "only_theirs": self._only_theirs.listed("event"),
            "only_ours": self._only_ours.listed("event", "status", "reason", "expected_by"),
            "outside_the_interval": {"theirs": self.outside_theirs, "ours": self.outside_ours},
        }


def _named(alone: Alone) -> dict[str, Any]:
    return {"conversation_id": printable(alone.conversation_id[:200]), "event": alone.event}
