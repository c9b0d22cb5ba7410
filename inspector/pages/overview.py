"""Shows the overview: what `gladly-segment status` says, and charts of the time before."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import Any, NamedTuple

from inspector import charts
from inspector.pages import proof
from inspector.pages.frame import activity, database_of, render
from state.instants import utc_now
from state.queries.attention import attention, command_for_all
from state.queries.audits import audited_days, proved_until
from state.queries.charts import CHARTED_EVENTS, delivery_lags, first_event, open_by_age, transitions
from state.queries.counts import conversation_total
from state.queries.cycles import latest_polls
from state.queries.organization import began_at
from state.queries.rows import Row
from state.queries.status import EVENTS_API_REACH_S, status

# The page names so many reasons for each kind of thing that needs a person at most. It counts the rest.
_REASONS = 3


class Need(NamedTuple):
    """
    What needs a person, all things of one kind.

    Attributes:
        what: The kind.
        total: How many things.
        command: The command that reaches all of them. None where each reason has its own.
        reasons: The first reasons, as groups of `attention`.
        more: How many reasons are not among them.
    """

    what: str
    total: int
    command: str | None
    reasons: list[Row]
    more: int


class Range(NamedTuple):
    """How far back a chart looks, and in what steps."""

    key: str
    name: str
    length_s: int
    step_s: int
    step_name: str
    label_s: int


RANGES = (
    Range("5m", "5 minutes", 300, 10, "10 seconds", 60),
    Range("1h", "1 hour", 3_600, 120, "2 minutes", 600),
    Range("24h", "24 hours", 86_400, 3_600, "hour", 14_400),
    Range("7d", "7 days", 604_800, 21_600, "6 hours", 86_400),
)
_BY_DEFAULT = RANGES[2]

_AGES = (
    ("under 1 hour", 3_600.0),
    ("1 to 4 hours", 14_400.0),
    ("4 to 24 hours", 86_400.0),
    ("1 to 3 days", 259_200.0),
    ("3 to 7 days", 604_800.0),
)
_OLDER = "over 7 days"


async def overview(datasette: Any, request: Any) -> Any:
    """Answer with what `gladly-segment status` says, and with charts of the time before."""
    database = database_of(datasette)
    now = utc_now()
    found = await database.ask(status, now, 0)
    needs = await database.ask(attention, None)
    audits, began, until = await database.ask(_proof)
    strip = proof.days(audits, began, now)
    chosen = next((each for each in RANGES if each.key == request.args.get("range")), None)
    shown = chosen or _fitting_range(await database.ask(first_event), now)
    first = int(now.timestamp() // shown.step_s - shown.length_s // shown.step_s + 1)
    since = _begin_of(first, shown.step_s)
    flow, lags, ages = await asyncio.gather(
        database.ask_rested(f"transitions {shown.step_s}", transitions, since, shown.step_s),
        database.ask_rested(f"lags {shown.step_s}", delivery_lags, since, shown.step_s),
        database.ask_rested("ages", open_by_age, now, [limit for _, limit in _AGES]),
    )
    return await render(
        datasette,
        request,
        "inspect_overview.html",
        {
            "there": database.is_there,
            "path": str(database.file),
            "status": found,
            "conversation_total": conversation_total(found["conversations"]),
            "gap_level": _gap_level(found["gap_seconds_left"]),
            "polls": await database.ask(latest_polls),
            "activity": await database.ask(activity, now, is_held=database.holder().is_there),
            "needs_total": needs.total,
            "needs": _by_kind(needs.groups),
            "days": strip,
            "kinds": proof.kinds(strip),
            "shown_day": proof.newest_audited(strip),
            "proved_until": until,
            "ranges": RANGES,
            "shown": shown,
            "created_and_closed": _created_and_closed(flow, first, shown),
            "lag_chart": _lag_chart(lags, first, shown),
            "capped": sum(row["n"] for row in flow) >= CHARTED_EVENTS and CHARTED_EVENTS,
            "ages": _ages(ages),
        },
    )


def _by_kind(groups: list[Row]) -> list[Need]:
    """Return the groups of `attention` kind by kind, in their order."""
    kinds: dict[str, list[Row]] = {}
    for group in groups:
        kinds.setdefault(group["what"], []).append(group)
    needs = []
    for what, of_kind in kinds.items():
        total = sum(group["count"] for group in of_kind)
        command = command_for_all(what) if total > 1 else of_kind[0]["command"]
        # Where each has its own command, no reason may be left out.
        shown = of_kind[:_REASONS] if command else of_kind
        needs.append(Need(what, total, command, shown, len(of_kind) - len(shown)))
    return needs


def _proof(connection: sqlite3.Connection) -> tuple[list[Row], str | None, str | None]:
    """Return the days that were audited, since when the file knows its organization, and what is proved."""
    return audited_days(connection, proof.DAYS + 1), began_at(connection), proved_until(connection)


def _begin_of(bucket: int, step_s: int) -> datetime:
    """Return when a bucket of the charts begins."""
    return datetime.fromtimestamp(bucket * step_s, UTC)


def _fitting_range(first: datetime | None, now: datetime) -> Range:
    """Return the shortest range that holds every event since *first*, and at most the one of 24 hours."""
    if first is None:
        return _BY_DEFAULT
    age = (now - first).total_seconds()
    return next((each for each in RANGES[:2] if age < each.length_s), _BY_DEFAULT)


def _created_and_closed(rows: list[Row], first: int, shown: Range) -> Any:
    found = {(row["bucket"], row["transition"]): row["n"] for row in rows}
    buckets = [
        charts.Bucket(
            _begin_of(bucket, shown.step_s),
            (found.get((bucket, "created"), 0), found.get((bucket, "closed"), 0)),
        )
        for bucket in _buckets(first, shown)
    ]
    totals = [sum(int(bucket.values[series] or 0) for bucket in buckets) for series in (0, 1)]
    return charts.bars(
        "flow",
        f"Created and closed per {shown.step_name}",
        f"In the last {shown.name}, {totals[0]} conversations were created and {totals[1]} closed.",
        buckets,
        [charts.Series("created", "created"), charts.Series("closed", "closed")],
        label_s=shown.label_s,
    )


def _lag_chart(lags: dict[int, list[float]], first: int, shown: Range) -> Any:
    """Draw how long deliveries took. Return None where nothing was delivered."""
    together = sorted(lag for some in lags.values() for lag in some)
    middle, slow = _quantile(together, 0.5), _quantile(together, 0.95)
    if middle is None or slow is None:
        return None
    buckets = [
        charts.Bucket(
            _begin_of(bucket, shown.step_s),
            (_quantile(lags.get(bucket), 0.95), _quantile(lags.get(bucket), 0.5)),
        )
        for bucket in _buckets(first, shown)
    ]
    said = (
        f"Half of the events of the last {shown.name} were delivered within {charts.seconds_words(middle)} "
        f"of being recorded at Gladly, and 95 of 100 within {charts.seconds_words(slow)}."
    )
    return charts.bars(
        "lag",
        "Delivery lag",
        said,
        buckets,
        [charts.Series("95th percentile", "slow"), charts.Series("median", "median")],
        label_s=shown.label_s,
        step_of=charts.seconds_step,
        words_of=charts.seconds_words,
        layered=True,
    )


def _buckets(first: int, shown: Range) -> range:
    return range(first, first + shown.length_s // shown.step_s)


def _quantile(lags: list[float] | None, share: float) -> float | None:
    return lags[min(len(lags) - 1, int(share * len(lags)))] if lags else None


def _ages(counts: list[int]) -> list[dict[str, Any]]:
    most = max(counts) or 1
    names = [name for name, _ in _AGES] + [_OLDER]
    return [
        {"name": name, "count": count, "bar": charts.share_bar(count / most)}
        for name, count in zip(names, counts, strict=True)
    ]


def _gap_level(gap: float | None) -> str:
    """Return the colour that `status` gives the gap clock."""
    if gap is None or gap >= EVENTS_API_REACH_S / 2:
        return "good"
    return "bad" if gap < EVENTS_API_REACH_S / 4 else "warn"
