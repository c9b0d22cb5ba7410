"""
Draws charts as inline SVG, without a library.

Horizontal measures are in percent and vertical ones in pixels, so a chart fills any width and its text keeps
its size. Each chart comes with a title, a description and a table.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup

from state.instants import short_duration, to_text

_TOP, _BOTTOM, _HEIGHT = 14.0, 158.0, 184.0
_LEFT, _WIDTH = 11.0, 88.5  # percent
_LAST_LABEL = 90.0  # percent: further right there is no room for a label

_DAY_S = 86_400

# Where the ticks of a duration's axis may stand.
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400)


class Bucket(NamedTuple):
    """One place on the horizontal axis: when it begins, and a value for each series."""

    start: datetime
    values: tuple[float | None, ...]


class Series(NamedTuple):
    """What the values of a series are: their name, and their class in the style sheet."""

    name: str
    style: str


def count_step(top: float) -> float:
    """Return the distance between ticks on an axis of counts up to *top*: 1, 2 or 5 times a power of ten."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if step * factor * 3 >= top:
                return step * factor
        step *= 10


def seconds_step(top: float) -> float:
    """Return the distance between ticks on an axis of seconds up to *top*, in seconds."""
    return next((step for step in _SECONDS if step * 3 >= top), 86_400.0 * count_step(top / 86_400))


def count_words(value: float) -> str:
    """Word a count for an axis or a table."""
    return f"{value:,.0f}"


def seconds_words(value: float) -> str:
    """Word a number of seconds for an axis or a table."""
    return f"{value:.1f}s" if 0 < value < 10 and value != int(value) else short_duration(value)


def bars(
    name: str,
    title: str,
    description: str,
    buckets: Sequence[Bucket],
    series: Sequence[Series],
    *,
    label_s: int = 3_600,
    step_of: Callable[[float], float] = count_step,
    words_of: Callable[[float], str] = count_words,
    layered: bool = False,
) -> Markup:
    """
    Draw a bar chart over time.

    Args:
        name: The first part of the ids of the chart's elements. Each chart on a page needs its own.
        title: The title above the chart.
        description: A sentence that says what the chart shows, for people who do not see it.
        buckets: The values, in order of time.
        series: What the values of a bucket are, in the same order.
        label_s: Buckets that begin at a multiple of so many seconds get a label. It is the time, or the day
            if *label_s* is a day or more.
        step_of: Returns the distance between ticks, given the largest value.
        words_of: Words a value.
        layered: Whether the bars of a bucket stand in front of one another, the first at the back. Otherwise
            they stand side by side.
    """
    top = max((value for bucket in buckets for value in bucket.values if value), default=0.0)
    step = step_of(top)
    ticks = max(1, -(-int(top * 1_000) // int(step * 1_000)))
    scale = (_BOTTOM - _TOP) / (ticks * step)
    parts = [_axis(number * step, _BOTTOM - number * step * scale, words_of) for number in range(ticks + 1)]
    slot = _WIDTH / max(1, len(buckets))
    parts += [
        _bucket(bucket, _LEFT + slot * number, slot, series, scale, words_of, layered=layered)
        for number, bucket in enumerate(buckets)
    ]
    parts += [
        _label(bucket.start, _LEFT + slot * number, label_s)
        for number, bucket in enumerate(buckets)
        if bucket.start.timestamp() % label_s == 0 and _LEFT + slot * number <= _LAST_LABEL
    ]
    legend = Markup("").join(
        Markup('<li><span class="swatch {}"></span>{}</li>').format(each.style, each.name) for each in series
    )
    return Markup(
        '<figure class="chart"><figcaption><h3>{title}</h3><ul class="legend">{legend}</ul></figcaption>'
        '<svg role="img" width="100%" height="{height}" aria-labelledby="{name}-title {name}-description">'
        '<title id="{name}-title">{title}</title><desc id="{name}-description">{description}</desc>'
        "{parts}</svg>{table}</figure>"
    ).format(
        name=name,
        title=title,
        description=description,
        legend=legend,
        height=int(_HEIGHT),
        parts=Markup("").join(parts),
        table=_table(name, buckets, series, words_of),
    )


def share_bar(share: float) -> Markup:
    """Draw a bar in a table's cell for a share from 0 to 1. The number in the next cell says the same."""
    return Markup(
        '<svg class="share" width="100%" height="12" aria-hidden="true">'
        '<rect class="track" width="100%" height="12" rx="3"/>'
        '<rect class="fill" width="{:.1f}%" height="12" rx="3"/></svg>'
    ).format(100 * share)


def _axis(value: float, y: float, words_of: Callable[[float], str]) -> Markup:
    return Markup(
        '<line class="grid" x1="{left}%" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
        '<text class="tick" x="{text:.1f}%" y="{baseline:.1f}" text-anchor="end">{words}</text>'
    ).format(left=_LEFT, y=y, text=_LEFT - 1.5, baseline=y + 4, words=words_of(value))


def _bucket(
    bucket: Bucket,
    x: float,
    slot: float,
    series: Sequence[Series],
    scale: float,
    words_of: Callable[[float], str],
    *,
    layered: bool,
) -> Markup:
    width = slot * (0.62 if layered else 0.76 / len(series))
    rects = []
    for number, (each, value) in enumerate(zip(series, bucket.values, strict=True)):
        if value:
            height = max(2.0, value * scale)
            left = x + slot * (0.19 if layered else 0.12) + (0 if layered else number * width)
            rects.append(
                Markup(
                    '<rect class="{}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}" rx="1.5"/>'
                ).format(each.style, left, _BOTTOM - height, width, height)
            )
    said = ", ".join(
        f"{words_of(value)} {each.name}"
        for each, value in zip(series, bucket.values, strict=True)
        if value is not None
    )
    return Markup(
        '<g class="bucket"><title data-instant="{at}" data-after=": {said}">{at}: {said}</title>'
        '<rect class="hover" x="{x:.2f}%" y="{y}" width="{slot:.2f}%" height="{height}"/>{rects}</g>'
    ).format(
        at=to_text(bucket.start),
        said=said or "none",
        x=x,
        y=_TOP,
        slot=slot,
        height=_BOTTOM - _TOP,
        rects=Markup("").join(rects),
    )


def _label(start: datetime, x: float, label_s: int) -> Markup:
    by_day = label_s >= _DAY_S
    return Markup('<text class="tick" x="{:.2f}%" y="{}" data-instant="{}" data-as="{}">{}</text>').format(
        x,
        _BOTTOM + 18,
        to_text(start),
        "day" if by_day else "clock",
        f"{start:%d %b}" if by_day else f"{start:%H:%M}",
    )


def _table(
    name: str, buckets: Sequence[Bucket], series: Sequence[Series], words_of: Callable[[float], str]
) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(each.name) for each in series)
    rows = Markup("").join(
        Markup('<tr><th scope="row"><time datetime="{0}">{0}</time></th>{1}</tr>').format(
            to_text(bucket.start),
            Markup("").join(
                Markup('<td class="number">{}</td>').format("—" if value is None else words_of(value))
                for value in bucket.values
            ),
        )
        for bucket in reversed(buckets)
        if any(bucket.values)
    )
    if not rows:
        rows = Markup('<tr><td colspan="{}">Nothing in this time.</td></tr>').format(len(series) + 1)
    return Markup(
        '<details id="{}-table"><summary>As a table</summary><div class="scroll" role="region" tabindex="0" '
        'aria-label="The chart as a table"><table><thead><tr><th scope="col">from</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div></details>"
    ).format(name, head, rows)
