"""What Gladly allows, and how much is read or kept of it: a value that is passed to the client."""

from datetime import timedelta
from typing import NamedTuple


class GladlyLimits(NamedTuple):
    """
    The limits of Gladly's REST API, each with its source, and our own beside them.

    Every number has its reason beside it. Names tell the unit.
    """

    # How many requests may be under way at once.
    workers: int = 8

    # One object or one list is waited for this long, its body included.
    request_deadline_s: float = 30.0

    # A conversation is under 1 KB, a profile a few KB, a list of 10,000 agents 2 MB. A longer body is not an
    # answer.
    body_max_bytes: int = 32_000_000

    # The wait after a 429 that asks for no wait. Gladly counts by the second.
    default_hold_s: float = 1.0

    # A profile is followed through this many merges. A longer chain is a loop.
    max_merges: int = 20

    # The Events API refuses a `startAt` older than 24 hours (Gladly REST API, Events). The hour between
    # covers a poll that takes long, and clocks that differ.
    events_reach: timedelta = timedelta(hours=23)

    # The head of the Events API's answer may take long for a window of a day. After it, one whole line is due
    # within this time.
    events_head_deadline_s: float = 60.0
    events_line_deadline_s: float = 60.0

    # Gladly's lines are under 1 KB. A longer line than the first limit is kept cut, in quarantine. What goes
    # on beyond the second without an end is no line, and the stream is broken.
    line_max_bytes: int = 1_000_000
    line_skip_bytes: int = 100_000_000

    # A chunk is committed whole: a few hundred conversations to look up, or so many changes (semantics 3.4).
    chunk_transitions: int = 300
    chunk_changes: int = 2_000

    # The report is cut off after 100,000 rows, without a word (Gladly REST API, Reports). A day with as many
    # rows as this is not believed to be whole.
    report_whole_rows: int = 99_000

    # Ten POST /reports a minute for an organization (Gladly REST API, rate limits).
    reports_per_minute: int = 10

    # Gladly makes the whole report before it sends a byte of it, which can take minutes.
    report_deadline_s: float = 900.0

    # A row of the report is some names, ids and reasons. A longer line is not the report's.
    report_line_max_characters: int = 1_000_000

    # A report that may have been cut is asked for this often, until two answers in a row are the same.
    report_asks: int = 4

    # What is kept in memory; of conversations those of two chunks. A profile is 2 KB as objects, and a
    # quarter of that as JSON.
    kept_profiles: int = 2_000
    kept_conversations: int = 600

    # A list of names is read again after this time, and for an unknown id after the shorter time.
    names_fresh_s: float = 3_600.0
    names_unknown_s: float = 60.0

    # A request that took longer has a latency worth hiding. Gladly's take 100 ms and more.
    slow_request_s: float = 0.005
