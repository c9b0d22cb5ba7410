"""What `watermark reset` prints before it moves the watermark."""

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
