"""Our three pages, and the two addresses that the debugger's script asks."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from datasette.utils.asgi import Response

from inspector import charts
from inspector.database import NAME, StateDatabase
from inspector.formatting import pretty_json
from inspector.questions import (
    CHARTED_EVENTS,
    EVENT_STATUSES,
    PAGE,
    Questions,
    Row,
    utc_of,
)
from state.instants import from_text, short_duration, to_text, utc_now

# Gladly's Events API reaches back 24 hours, and it allows an organization 10 requests a second: the figures
# of `gladly-segment status` (`sync/status.py`; a test holds the two together).
EVENTS_API_REACH_S = 86_400.0
GLADLY_REQUESTS_PER_SECOND = 10.0

# How many events the debugger's script may ask to be told about again.
_WATCHED = 200


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


def duration(seconds: float | None) -> str:
    """A duration as `status` writes it."""
    return "—" if seconds is None else short_duration(seconds)


# The debugger


async def debugger(datasette: Any, request: Any) -> Any:
    """The events as they arrive. The list is the script's; the page is its frame."""
    database = _database(datasette)
    return await _page(
        datasette, request, "inspect_debugger.html", {"statuses": EVENT_STATUSES, "there": database.is_there}
    )


async def api_events(datasette: Any, request: Any) -> Any:
    """
    Events for the list.

    `after=PLACE` gives what arrived since, `watch=PLACE,…` what became of those still pending; without, the
    newest that `status` and `q` let through, or (`before=INSTANT,PLACE`) those older than that.
    """
    database, questions = _database(datasette), Questions(_database(datasette))
    try:
        status = _choice(request.args.get("status"), EVENT_STATUSES)
        after = _number(request.args.get("after"))
        watch = [int(place) for place in (request.args.get("watch") or "").split(",")[:_WATCHED] if place]
        before = _cursor(request.args.get("before"))
    except ValueError as error:
        return Response.json({"error": str(error)}, status=400)
    head = await questions.head()
    q = (request.args.get("q") or "").strip() or None
    is_reset = after is not None and after > head
    if after is not None and not is_reset:
        events = await questions.events_after(after) if head > after else []
    else:
        events = await questions.events(status=status, q=q, before=before)
    return Response.json(
        {
            "events": events,
            "changed": await questions.events_at(watch),
            "full": len(events) == PAGE,
            "head": head,
            "reset": is_reset,
            "file": database.is_there,
            "watermark": await questions.watermark(),
            "now": to_text(utc_now()),
        }
    )


async def api_event(datasette: Any, request: Any) -> Any:
    """One event, whole, its payload as people read it."""
    event = await Questions(_database(datasette)).event(request.args.get("id") or "")
    if event is None:
        return Response.json({"error": "There is no such event."}, status=404)
    event["payload"] = pretty_json(event["payload"])
    event["lag"] = _between(event["occurred_at"], event["delivered_at"])
    return Response.json(event)


# The overview


async def overview(datasette: Any, request: Any) -> Any:
    """Where the sync stands: what `gladly-segment status` says, and how it came there."""
    database, questions = _database(datasette), Questions(_database(datasette))
    now = utc_now()
    chosen = next((each for each in RANGES if each.key == request.args.get("range")), None)
    shown = chosen or await _fitting_range(questions, now)
    first = now.timestamp() // shown.step_s - shown.length_s // shown.step_s + 1
    since = utc_of(int(first), shown.step_s)
    watermark, oldest = await questions.watermark(), await questions.oldest_pending()
    last_poll, requests = await questions.last_poll(), await questions.requests_last_hour(now)
    transitions, lags, ages = await asyncio.gather(
        questions.transitions(since, shown.step_s),
        questions.lags(since, shown.step_s),
        questions.open_by_age(now, [limit for _, limit in _AGES]),
    )
    lag = _age(watermark, now)
    gap = None if lag is None else max(0.0, EVENTS_API_REACH_S - lag)
    return await _page(
        datasette,
        request,
        "inspect_overview.html",
        {
            "there": database.is_there,
            "path": str(database.file),
            "watermark": watermark,
            "lag": lag,
            "gap": gap,
            "gap_level": _gap_level(gap),
            "last_poll": last_poll,
            "last_success": await questions.last_success(),
            "polls": await questions.polls(),
            "events": await questions.event_counts(),
            "conversations": await questions.conversation_counts(),
            "oldest_pending": oldest,
            "oldest_pending_s": _age(oldest, now),
            "requests": requests,
            "share": requests / 3_600 / GLADLY_REQUESTS_PER_SECOND,
            "needs": await questions.needs_attention(),
            "ranges": RANGES,
            "shown": shown,
            "chosen": chosen,
            "created_and_closed": _created_and_closed(transitions, int(first), shown),
            "lag_chart": _lag_chart(lags, int(first), shown),
            "capped": sum(row["n"] for row in transitions) >= CHARTED_EVENTS and CHARTED_EVENTS,
            "ages": _ages(ages),
        },
    )


async def _fitting_range(questions: Questions, now: datetime) -> Range:
    """The shortest range that holds every event there is, and a day at most."""
    first = await questions.first_event()
    if first is None:
        return _BY_DEFAULT
    age = (now - first).total_seconds()
    return next((each for each in RANGES[:2] if age < each.length_s), _BY_DEFAULT)


def _created_and_closed(rows: list[Row], first: int, shown: Range) -> Any:
    found = {(row["bucket"], row["transition"]): row["n"] for row in rows}
    buckets = [
        charts.Bucket(
            utc_of(bucket, shown.step_s),
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
    buckets = [
        charts.Bucket(
            utc_of(bucket, shown.step_s),
            (_quantile(lags.get(bucket), 0.95), _quantile(lags.get(bucket), 0.5)),
        )
        for bucket in _buckets(first, shown)
    ]
    together = sorted(lag for some in lags.values() for lag in some)
    middle, slow = _quantile(together, 0.5), _quantile(together, 0.95)
    said = (
        f"Of the events of the last {shown.name}, half were delivered within {charts.seconds_words(middle)} "
        f"of being recorded at Gladly, and 95 of 100 within {charts.seconds_words(slow)}."
        if middle is not None and slow is not None
        else f"Nothing was delivered in the last {shown.name}."
    )
    return charts.bars(
        "lag",
        "Delivery lag",
        said,
        buckets,
        [charts.Series("95 of 100", "slow"), charts.Series("median", "median")],
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
    """The colour `status` gives the gap clock."""
    if gap is None or gap >= EVENTS_API_REACH_S / 2:
        return "good"
    return "bad" if gap < EVENTS_API_REACH_S / 4 else "warn"


# The conversation


class Moment(NamedTuple):
    """A line of a conversation's history: what Gladly recorded, what it meant and why, what was sent."""

    at: str
    kind: str
    what: str
    note: str | None = None
    states: str | None = None
    event: Row | None = None


async def conversation(datasette: Any, request: Any) -> Any:
    """A conversation's whole history, as far as the state file knows it."""
    database, questions = _database(datasette), Questions(_database(datasette))
    conversation_id = (request.args.get("id") or "").strip()
    if not conversation_id:
        latest = await questions.latest_conversations()
        return await _page(
            datasette, request, "inspect_conversations.html", {"latest": latest, "there": database.is_there}
        )
    stored = await questions.conversation(conversation_id)
    events = await questions.events_of(conversation_id)
    customer_id = stored["customer_id"] if stored else events[-1]["customer_id"] if events else None
    customer = await questions.customer(customer_id) if customer_id else None
    others = await questions.others_of(customer_id, conversation_id) if customer_id else []
    for event in events:
        event["lag"] = _between(event["occurred_at"], event["delivered_at"])
        event["payload"] = pretty_json(event["payload"])
    return await _page(
        datasette,
        request,
        "inspect_conversation.html",
        {
            "id": conversation_id,
            "stored": stored,
            "customer_id": customer_id,
            "customer": customer,
            "others": others,
            "moments": history(stored, await questions.changes_of(conversation_id), events, customer),
            "events": events,
            "open_for": _between(stored["created_at"], stored["closed_at"]) if stored else None,
        },
        status=200 if stored or events else 404,
    )


def history(stored: Row | None, changes: list[Row], events: list[Row], customer: Row | None) -> list[Moment]:
    """
    What happened, oldest first: the changes with what was decided, each with the event it made; events whose
    change is no longer kept; and what became of the conversation and its customer.

    Args:
        changes, events: The conversation's, oldest first.
        customer: The customer's row of `customers`, where there is one.
    """
    unmatched = {(event["transition"], event["occurred_at"]): event for event in events}
    moments = [_moment_of(change, unmatched) for change in changes]
    moments += [
        Moment(event["occurred_at"], event["transition"], event["transition"].capitalize(), event=event)
        for event in unmatched.values()
    ]
    if stored and stored["created_at"] and all(moment.kind != "created" for moment in moments):
        moments.append(Moment(stored["created_at"], "known", "Created at Gladly"))
    if stored and stored["status"] in ("MERGED", "DELETED"):
        word = stored["status"].lower()
        if all(moment.kind != word for moment in moments):
            note = "Nothing more is sent for it."
            moments.append(Moment(stored["updated_at"], word, word.capitalize(), note))
    if customer and customer["merged_into"]:
        note = f"Into {customer['merged_into']}."
        moments.append(Moment(customer["merged_at"], "merged", "Customer merged", note))
    if customer and customer["deleted_at"]:
        moments.append(Moment(customer["deleted_at"], "deleted", "Customer deleted", customer["reason"]))
    return _numbered(sorted(moments, key=lambda moment: moment.at or ""))


def _moment_of(change: Row, unmatched: dict[tuple[str, str], Row]) -> Moment:
    """A change, in the words of `gladly-segment explain`; its event is taken out of *unmatched*."""
    transition = change["transition"]
    event = unmatched.pop((transition, change["recorded_at"]), None) if transition else None
    kind = change["type"].rpartition("/")[2].lower()
    what = kind.replace("_", " ").capitalize()
    states = f"{change['status_before'] or '-'} → {change['status_after']}"
    note = f"{transition or 'nothing new'}: {change['why'] or 'not kept'}"
    return Moment(change["recorded_at"], kind, what, note, states, event)


def _numbered(moments: list[Moment]) -> list[Moment]:
    """A second close stands out."""
    closes, told = 0, []
    for moment in moments:
        if moment.kind == "closed" and moment.event:
            closes += 1
            if closes > 1:
                moment = moment._replace(what="Closed again")  # noqa: PLW2901
        told.append(moment)
    return told


# What they share


async def _page(
    datasette: Any, request: Any, template: str, context: dict[str, Any], status: int = 200
) -> Any:
    return Response.html(await datasette.render_template(template, context, request=request), status=status)


def _database(datasette: Any) -> StateDatabase:
    database: StateDatabase = datasette.databases[NAME]
    return database


def _age(instant: str | None, now: datetime) -> float | None:
    return (now - from_text(instant)).total_seconds() if instant else None


def _between(earlier: str | None, later: str | None) -> str | None:
    if not earlier or not later:
        return None
    lag = (from_text(later) - from_text(earlier)) / timedelta(seconds=1)
    return charts.seconds_words(max(0.0, lag))


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _choice(text: str | None, allowed: tuple[str, ...]) -> str | None:
    if text and text not in allowed:
        raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
    return text or None


def _cursor(text: str | None) -> tuple[str, int] | None:
    if not text:
        return None
    instant, _, place = text.rpartition(",")
    return instant, int(place)
