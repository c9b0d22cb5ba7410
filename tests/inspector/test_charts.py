"""Charts that can be read without seeing them."""

from datetime import UTC, datetime, timedelta

import pytest

from inspector import charts


@pytest.mark.parametrize(
    ("top", "counts", "seconds"), [(0, 1, 1), (3, 1, 1), (4, 2, 2), (40, 20, 15), (5_000, 2_000, 1_800)]
)
def test_an_axis_has_round_ticks(top: float, counts: float, seconds: float) -> None:
    """At most three steps, of a length people count in."""
    assert charts.count_step(top) == counts
    assert charts.seconds_step(top) == seconds


def test_a_chart_can_be_read_without_seeing_it() -> None:
    """A title, a description, and the same figures as a table."""
    start = datetime(2026, 11, 20, 8, tzinfo=UTC)
    buckets = [charts.Bucket(start + timedelta(hours=n), (n, None)) for n in range(3)]
    made = charts.bars("x", "Title", "Said <b>", buckets, [charts.Series("a", "a"), charts.Series("b", "b")])
    assert 'aria-labelledby="x-title x-description"' in made
    assert "Said &lt;b&gt;" in made
    assert made.count("<tr>") == 3  # the head and the two that are not empty
    assert "style=" not in made


def test_a_chart_of_nothing_says_so() -> None:
    """No events are no error."""
    assert "Nothing in this time." in charts.bars("x", "Title", "None", [], [charts.Series("a", "a")])
