"""Instants and durations, as people and files write them (interface 2 and 4)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.instants import from_text, parse_duration, parse_instant, short_duration, to_text
from support.state_samples import EIGHT, eight

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


# A day from either end of the calendar, so that every one of them has a place in UTC.
FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


INSTANTS = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC))


def cut(instant):
    """Cut to the millisecond."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


@given(INSTANTS)
def test_an_instant_comes_back_to_the_millisecond(instant):
    """What is finer is cut, never rounded up: a watermark is never past what it was."""
    assert from_text(to_text(instant)) == cut(instant)


@given(INSTANTS)
def test_every_instant_has_the_same_shape(instant):
    """UTC, milliseconds and `Z`, 24 characters, so that they sort as text."""
    text = to_text(instant)
    assert (len(text), text[4], text[10], text[19], text[-1]) == (24, "-", "T", ".", "Z")


@given(INSTANTS, INSTANTS)
def test_instants_sort_as_text(one, other):
    """The state file compares text where the code compares instants."""
    assert (to_text(one) < to_text(other)) == (cut(one) < cut(other))


@given(INSTANTS, ZONES)
def test_the_zone_makes_no_difference(instant, zone):
    """The same instant is the same text, wherever it was looked at."""
    assert to_text(instant.astimezone(zone)) == to_text(instant)


@given(st.integers(0, 9), st.integers(0, 999_999_999), st.sampled_from(["Z", "+00:00", "-09:00", "+05:30"]))
def test_any_fraction_and_offset_is_read(digits, nanoseconds, zone):
    """Gladly's instants have 0 to 9 fractional digits, `Z` or an offset (faults A4)."""
    fraction = f"{nanoseconds:09d}"[:digits]
    text = "2026-11-20T08:00:00" + (f".{fraction}" if fraction else "") + zone
    sign = -1 if zone[0] == "-" else 1
    offset = timedelta(0) if zone == "Z" else sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    assert from_text(text) == eight() - offset + timedelta(microseconds=int(fraction.ljust(9, "0")[:6]))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20t08:00:00Z",
        "2026-11-20T08:00:00z",
        "2026-11-20 08:00:00 UTC",
        "2026-11-20T08:00:00.000 utc",
        "2026-11-20 08:00:00 GMT",
        "2026-11-20 08:00:00UTC",
        "2026-11-20 08:00:00 Z",
        "2026-11-20T09:00:00+0100",
        "2026-11-20 09:00:00 +01:00",
        " 2026-11-20T08:00:00Z\n",
        "2026-11-20T07:59:60Z",
        "2026-11-20 07:59:60 UTC",
        "2026-11-20t08:59:60+01:00",
    ],
)
def test_what_can_mean_one_instant_only_is_read(text):
    """`t`, `z`, `UTC`, an offset after a space; a leap second is the next one (faults H1.7, H2.16)."""
    assert from_text(text) == eight()


def test_the_fraction_of_a_leap_second_is_that_of_the_next():
    """Also over the end of a year (faults H2.16)."""
    assert to_text(from_text("2026-12-31T23:59:60.250Z")) == "2027-01-01T00:00:00.250Z"


@pytest.mark.parametrize(
    "text",
    [
        "11/20/2026 08:00:00",
        "20.11.2026 08:00:00",
        "2026-11-20T08:00:00 PST",
        "2026-11-20T08:00:00 EST5EDT",
        "2026-11-20 08:00 AM",
        "2026-11-20T08:00:61Z",
        "2026-11-20T08:60:00Z",
        "1795161600",
        "9999-12-31T23:59:60Z",
        "UTC",
        "",
    ],
)
def test_what_may_mean_another_instant_is_refused(text):
    """Nothing is guessed (faults H1.7)."""
    with pytest.raises(ValueError, match=r"\w"):
        from_text(text)


@given(INSTANTS, ZONES)
def test_what_is_read_is_in_utc(instant, zone):
    """An offset is worked out at once and never travels on."""
    read = from_text(instant.astimezone(zone).isoformat())
    assert (read, read.tzinfo) == (instant, UTC)


def test_without_a_zone_utc_is_meant():
    """Never the zone of the machine."""
    assert from_text("2026-11-20T08:00:00") == EIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "yesterday",
        "2026-13-01",
        "2026-11-20T25:00Z",
        "2026-11-20T08:00:00Q",
        "1795161600",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_what_is_no_instant_is_refused(text):
    """Also what has no place in UTC's calendar: one error, ValueError, whatever is wrong."""
    with pytest.raises(ValueError):
        from_text(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("36h", 129_600),
        ("7d", 604_800),
        ("0s", 0),
        ("1.5h", 5_400),
        (" 10 m ", 600),
    ],
)
def test_a_duration_is_read(text, seconds):
    """Seconds, minutes, hours and days."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5w", "5 minutes", "1h30m", "1e3s", "5S", "inf", "nans", "10m\n10m", "m5"]
)
def test_what_is_no_duration_is_refused_with_what_is_one(text):
    """The message shows how to write it."""
    with pytest.raises(ValueError, match="90s, 15m, 36h or 7d"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text", ["36501d", "876001h", "999999d", "999999999d", "99999999999d", "9" * 400 + "d", "9" * 20 + "s"]
)
def test_a_duration_longer_than_a_hundred_years_is_refused(text):
    """A longer one takes a date out of the calendar wherever it is subtracted (faults H2.7)."""
    with pytest.raises(ValueError, match="is too long; the longest duration is 36500d"):
        parse_duration(text)


@given(st.integers(0, 10_000), st.sampled_from([("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]))
def test_every_whole_number_of_units_is_read(count, unit):
    """No rounding, no surprises."""
    assert parse_duration(f"{count}{unit[0]}") == timedelta(seconds=count * unit[1])


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:00Z", EIGHT),
        ("2026-11-20T08:00+01:00", datetime(2026, 11, 20, 7, tzinfo=UTC)),
        ("2026-11-20 08:00:00.250", datetime(2026, 11, 20, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("90s", EIGHT - timedelta(seconds=90)),
        ("36h", EIGHT - timedelta(hours=36)),
        (" 7d ", EIGHT - timedelta(days=7)),
        ("0s", EIGHT),
    ],
)
def test_an_instant_or_an_age_is_read(text, instant):
    """ISO 8601, or how long ago (interface 2)."""
    assert parse_instant(text, EIGHT) == instant


@pytest.mark.parametrize("text", ["", "tomorrow", "now", "36", "2026-11-31", "-1h", "20.11.2026"])
def test_what_is_neither_is_refused_with_what_would_do(text):
    """The message shows both ways of writing one."""
    with pytest.raises(ValueError, match=r"2026-11-20T08:00Z or an age: 15m, 36h, 7d"):
        parse_instant(text, EIGHT)


@pytest.mark.parametrize("age", ["10m", "7d", "36500d"])
def test_an_age_is_read_by_a_clock_that_was_never_set(age):
    """Such a clock says 1970. What `sync.start` means is decided by Gladly's clock (faults H2.4)."""
    never_set = datetime(1970, 1, 1, tzinfo=UTC)
    assert parse_instant(age, never_set) == never_set - parse_duration(age)
    with pytest.raises(ValueError, match="is before the year 2000"):
        parse_instant("1969-01-01", never_set)


@pytest.mark.parametrize(
    "text", ["900000d", "99999999999d", "36500d", "1999-12-31", "0001-01-01", "1970-01-01T00:00Z"]
)
def test_an_instant_before_gladly_is_refused(text):
    """The overlap before such an instant may lie outside the calendar (faults H2.7)."""
    with pytest.raises(ValueError, match=r"is too long|is before the year 2000"):
        parse_instant(text, EIGHT)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (45, "45s"),
        (59.6, "1m"),
        (725, "12m 5s"),
        (83_400, "23h 10m"),
        (86_400, "1d"),
        (273_600, "3d 4h"),
        (273_659, "3d 4h"),
        (-725, "-12m 5s"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds, text):
    """Short enough for a line of `status`."""
    assert short_duration(seconds) == text
