"""What `watermark reset` prints before it moves the watermark, and `resync` when it has ended."""

from datetime import datetime, timedelta

from state.instants import to_text
from state.queries.status import EVENTS_API_REACH_S


def reset_meaning(
    position: str | None,
    to: datetime,
    now: datetime,
    counts: dict[str, int] | None,
    *,
    replay: bool,
) -> str:
    """
    Return the sentences that say what moving the watermark means.

    Args:
        position: The watermark as it is. None before the first cycle.
        to: The watermark as it will be.
        now: The present.
        counts: How many `events` are recorded since *to*, and how many of them are `replayable`. None without
            a state file.
        replay: Whether delivered events are sent again.
    """
    sentences = [f"Watermark: {position or 'none yet'} → {to_text(to)}."]
    if counts is None:
        return sentences[0]
    if position and to_text(to) > position:
        sentences.append(f"Changes recorded between {position} and {to_text(to)} will never be read.")
    sentences.append(
        "The next cycle reads every change since then again. Events recorded since then, which "
        f"are recognised and not sent twice: {counts['events']}."
    )
    if replay:
        sentences.append(
            f"Delivered events that --replay sends again, with the same messageId: {counts['replayable']}."
        )
        if now - to > timedelta(seconds=EVENTS_API_REACH_S):
            sentences.append(
                "Segment drops repeated events for about 24 hours only. "
                "Older events arrive in your destinations twice."
            )
    return "\n".join(sentences)


def resync_result(counts: dict[str, int], delivered: int) -> str:
    """
    Return the sentences that say what became of the events of a resync's interval.

    A daemon that runs beside the resync delivers from the same outbox. So the resync alone may have delivered
    none, and nothing is lost.

    Args:
        counts: The events of the interval, by status.
        delivered: How many events the resync itself delivered.
    """
    listed = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"
    sentences = [f"Events of this interval: {listed}."]
    if others := max(0, counts["delivered"] - delivered):
        sentences.append(f"A running daemon, or an earlier cycle, delivered {others} of them.")
    if counts["recorded"] or counts["pending"]:
        sentences.append("The daemon, or the next cycle, sends what is recorded or pending.")
    return " ".join(sentences)
