"""Words the strip of days: whether each of the last days was proved complete, and by what figures."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from state.queries.rows import Row

# How many days the strip shows at most, and at least: a strip of one day would not look like one.
DAYS = 30
_FEWEST = 7

# What a day can be: its sign in the strip, which tells it from the others without colour, and its words.
_LOOKS = {
    "complete": ("✓", "complete"),
    "mended": ("+", "mended"),
    "unproved": ("!", "unproved"),
    "dropped": ("x", "with events that Segment dropped"),
    "waiting": ("·", "not audited yet"),
    "before": ("-", "before the state file began"),
}

_FIGURES = ("reported", "known", "missing", "delivered", "received", "dropped")


class Day(NamedTuple):
    """
    A day of the strip.

    Attributes:
        day: The UTC day, as `audits` writes it.
        kind: `complete`, `mended`, `unproved`, `dropped`, `waiting` or `before`.
        sign: The character that stands for the kind.
        words: What the kind means.
        figures: The figures of the day that are known, each with its name.
        note: What the audit noted. None where it noted nothing.
        dismissed: Whether a person has dismissed the day.
    """

    day: str
    kind: str
    sign: str
    words: str
    figures: list[tuple[str, int]]
    note: str | None
    dismissed: bool

    @property
    def label(self) -> str:
        """Return all that the strip says of the day, in one line."""
        parts = [self.words + (", dismissed" if self.dismissed else "")]
        if self.figures:
            parts.append(", ".join(f"{name} {number:,}" for name, number in self.figures))
        if self.note:
            parts.append(self.note)
        return f"{self.day}: {'. '.join(parts)}"


class Kind(NamedTuple):
    """How many days of the strip are of one kind."""

    kind: str
    sign: str
    words: str
    days: int


def days(audits: list[Row], began_at: str | None, now: datetime) -> list[Day]:
    """
    Return the last days that are over, oldest first: those since the state file began.

    Args:
        audits: The latest rows of `audits`, in any order.
        began_at: Since when the state file has followed its organization. None where that is not known.
        now: The instant. Its UTC day is not over yet, so it is not in the strip.
    """
    known = {row["day"]: row for row in audits}
    today = now.date()
    first = date.fromisoformat(min([*known, *([began_at[:10]] if began_at else [])], default="2000-01-01"))
    count = min(DAYS, max(_FEWEST, (today - first).days))
    last = [today - timedelta(days=back) for back in range(count, 0, -1)]
    return [_day_of(day, known.get(day.isoformat()), began_at) for day in last]


def newest_audited(strip: list[Day]) -> str:
    """Return the newest day of the strip that was audited, or its last one where none was."""
    return next((day.day for day in reversed(strip) if day.kind not in ("waiting", "before")), strip[-1].day)


def kinds(strip: list[Day]) -> list[Kind]:
    """Return what the signs of the strip mean, and how many days each stands for. Leave out what none has."""
    counts = [Kind(kind, *look, sum(day.kind == kind for day in strip)) for kind, look in _LOOKS.items()]
    return [each for each in counts if each.days]


def _day_of(day: date, row: Row | None, began_at: str | None) -> Day:
    if row is None:
        began = began_at[:10] if began_at else ""
        # The file has only a part of the day on which it began.
        kind = "before" if day.isoformat() <= began else "waiting"
        sign, words = _LOOKS[kind]
        if day.isoformat() == began:
            words = "the state file began during this day"
        return Day(day.isoformat(), kind, sign, words, [], None, dismissed=False)
    kind = row["outcome"] if row["outcome"] in _LOOKS else "unproved"
    if kind != "unproved" and row["dropped"]:
        kind = "dropped"  # all of the day was found here, and Segment did not keep all of it
    figures = [(name, row[name]) for name in _FIGURES if row[name] is not None]
    return Day(row["day"], kind, *_LOOKS[kind], figures, row["note"], dismissed=bool(row["dismissed_at"]))
