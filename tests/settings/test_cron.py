"""A crontab line means what crontab(5) says, in UTC, whatever APScheduler would make of it."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from sync.settings.cron import crontab_triggers

BEGIN = datetime(2027, 2, 1, tzinfo=UTC)  # a Monday

WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _times(line, days):
    """Return when a cycle begins in the first so many days, each time once."""
    times = set()
    for trigger in crontab_triggers(line):
        at = BEGIN
        while (at := trigger.get_next_fire_time(None, at)) < BEGIN + timedelta(days=days):
            times.add(at)
            at += timedelta(seconds=1)
    return sorted(times)


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", "Mon Tue Wed Thu Fri Sat Sun"),
        ("0", "Sun"),
        ("7", "Sun"),
        ("sun", "Sun"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("MON-FRI", "Mon Tue Wed Thu Fri"),
        ("5-7", "Fri Sat Sun"),
        ("sat-sun", "Sat Sun"),
        ("0-2", "Mon Tue Sun"),
        ("0,3,6", "Wed Sat Sun"),
        ("1-5/2", "Mon Wed Fri"),
        ("*/2", "Tue Thu Sat Sun"),
        ("0-7", "Mon Tue Wed Thu Fri Sat Sun"),
        ("0,7,sun", "Sun"),
    ],
)
def test_days_of_the_week_are_counted_from_sunday(field, days):
    """0 and 7 are Sunday. APScheduler counts Monday as 0 (faults H2.9)."""
    assert [f"{at:%a}" for at in _times(f"0 6 * * {field}", 7)] == days.split()


@pytest.mark.parametrize(
    ("line", "dates"),
    [
        pytest.param("0 6 13 * 5", [5, 12, 13, 19, 26], id="both: one is enough"),
        pytest.param("0 6 13 2 *", [13], id="the date alone"),
        pytest.param("0 6 * * 5", [5, 12, 19, 26], id="the day of the week alone"),
        pytest.param("0 6 */2 * 5", [5, 19], id="a step from the star restricts nothing: both"),
        pytest.param("0 6 1-7 * */7", [7], id="the same the other way round"),
        pytest.param("0 6 31 2 1", [1, 8, 15, 22], id="a date that never comes, or Mondays"),
        pytest.param("0 6 1,15 * fri", [1, 5, 12, 15, 19, 26], id="a list, or Fridays"),
    ],
)
def test_both_day_fields_are_read_as_crontab_reads_them(line, dates):
    """Two restricted day fields are an "or". APScheduler makes an "and" of them (faults H2.9)."""
    assert [at.day for at in _times(line, 28)] == dates


@pytest.mark.parametrize(
    "line", ["0 6 31 2 *", "0 6 30 feb *", "* * 31 4,6,9,11 *", "*/5 * 30-31 2 *", "0 6 31 2 */2"]
)
def test_a_line_that_never_comes_is_refused(mistakes, line):
    """The daemon would run one cycle and then wait for ever (faults H2.9)."""
    (mistake,) = [said for said in mistakes(f"[sync]\ncron = '{line}'") if "sync.cron" in said]
    assert "never comes" in mistake


@pytest.mark.parametrize("line", ["0 6 29 2 *", "0 6 29 2 */7", "0 6 31 1-2 *", "0 6 31 2 1"])
def test_a_line_that_comes_seldom_is_accepted(settings, line):
    """29 February is such a day."""
    text = f"[gladly]\norganization = 'acme'\nusername = 'a@b.c'\n[sync]\ncron = '{line}'"
    assert settings(text).settings.sync.cron == line


@pytest.mark.parametrize("day", ["8", "mon/2", "5-1", "funday", "*/0", "1,,2", "-1", "1-", "2/"])
def test_a_day_of_the_week_that_is_none_is_refused(mistakes, day):
    """The message names it."""
    (mistake,) = [said for said in mistakes(f"[sync]\ncron = '0 6 * * {day}'") if "sync.cron" in said]
    assert "of the week" in mistake


ZONES = ["EST5EDT,M3.2.0,M11.1.0", "<+03>-3", "Nowhere/At_All", ":nowhere/at/all", "", "UTC0", "/etc/passwd"]


@pytest.mark.parametrize("zone", ZONES)
def test_the_hosts_zone_means_nothing_to_a_cron_line(zone):
    """No zone of the host is looked up: not one in POSIX form, and none that is unknown (faults H2.10)."""
    program = (
        "from datetime import UTC, datetime; from sync.settings.values import cron;"
        "from sync.settings.cron import crontab_triggers;"
        "(trigger,) = crontab_triggers(cron('0 6 * * *'));"
        "print(trigger.get_next_fire_time(None, datetime(2027, 2, 1, tzinfo=UTC)))"
    )
    done = subprocess.run([sys.executable, "-c", program], env={"TZ": zone}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("2027-02-01 06:00:00+00:00\n", "")
