"""
Pair the events of both sides: which of theirs is which of ours, whatever their ids (semantics 6.5). Pure.
"""

from collections.abc import Sequence
from typing import NamedTuple

from state.instants import from_text
from sync.audit.compare_files import Theirs

# Two closes of one conversation are told apart by when Segment received them. Gladly pushes its events within
# seconds. A close and an event this far apart, in seconds, are not the same.
PUSHED_WITHIN_S = 3600.0

# Groups of more combinations than this are paired in order.
_MOST_COMBINATIONS = 250_000


class Ours(NamedTuple):
    """Hold one event of the state file."""

    conversation_id: str
    event: str
    occurred_at: str
    delivered_at: str | None
    status: str
    reason: str | None
    payload: str | bytes | None


Pair = tuple[Ours | None, Theirs | None]


def pairs(ours: Sequence[Ours], theirs: Sequence[Theirs]) -> list[Pair]:
    """
    Return which events of one conversation and one name belong together. Those that stand alone have a None.

    A conversation is created once, so its created events belong together. Several closes are told apart by
    their instants: both sides keep their order, and together the pairs lie as close as they can.
    """
    if len(ours) == len(theirs) == 1 and ours[0].event.endswith("Created"):
        return [(ours[0], theirs[0])]
    if not ours or not theirs or len(ours) * len(theirs) > _MOST_COMBINATIONS:
        together = min(len(ours), len(theirs))
        alone: list[Pair] = [(event, None) for event in ours[together:]]
        return [*zip(ours, theirs, strict=False), *alone, *((None, event) for event in theirs[together:])]
    costs = [[_apart_s(here, there) for there in theirs] for here in ours]
    is_created = ours[0].event.endswith("Created")
    limit = float("inf") if is_created else PUSHED_WITHIN_S
    alone_cost = 1e12 if is_created else PUSHED_WITHIN_S
    # The cheapest way to end from each position on, and the step that it begins with.
    best = [[(0.0, "")] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in range(len(ours), -1, -1):
        for j in range(len(theirs), -1, -1):
            ways = []
            if i < len(ours) and j < len(theirs) and costs[i][j] <= limit:
                ways.append((best[i + 1][j + 1][0] + costs[i][j], "both"))
            if i < len(ours):
                ways.append((best[i + 1][j][0] + alone_cost, "ours"))
            if j < len(theirs):
                ways.append((best[i][j + 1][0] + alone_cost, "theirs"))
            best[i][j] = min(ways, default=(0.0, ""))
    found: list[Pair] = []
    i = j = 0
    while step := best[i][j][1]:
        found.append((ours[i] if step != "theirs" else None, theirs[j] if step != "ours" else None))
        i, j = i + (step != "theirs"), j + (step != "ours")
    return found


def _apart_s(ours: Ours, theirs: Theirs) -> float:
    """
    Return how far two events lie apart, in seconds. It is 0 where their side has no instant.

    Segment received theirs when the change happened, or when this program delivered it: what is compared may
    be our own source. The event's own timestamp may be the close's.
    """
    here = [from_text(at) for at in (ours.occurred_at, ours.delivered_at) if at]
    distances = [
        abs((from_text(theirs.received_at) - at).total_seconds()) for at in here if theirs.received_at
    ]
    if theirs.stamp:
        stamp_apart = abs((from_text(theirs.stamp) - here[0]).total_seconds())
        if stamp_apart < 1 or not theirs.received_at:
            distances.append(stamp_apart if stamp_apart < 1 else 0.0)
    return min(distances, default=0.0)
