"""Define what Gladly allows, and how much is read or kept: a value that is passed to the client."""

from datetime import timedelta
from typing import NamedTuple


class GladlyLimits(NamedTuple):
    """
    Hold the limits of Gladly's REST API, each with its source, and our own limits, each with its reason.

    The names tell the units.
    """

    # How many requests may be under way at once.
    workers: int = 8

    # How long a request for one object or one list may take, its body included.
    request_deadline_s: float = 30.0

    # A conversation is under 1 KB and a profile a few KB. A longer body is not an answer.
    object_max_bytes: int = 1_000_000

    # One object is waited for this long. Gladly answers within a second, and other look-ups wait meanwhile.
    object_deadline_s: float = 10.0

    # A list of 10,000 agents is 2 MB.
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

    # Gladly's lines are under 1 KB. A line longer than the first limit is cut and kept in quarantine. At the
    # second limit the stream is taken to be broken.
    line_max_bytes: int = 1_000_000
    line_skip_bytes: int = 100_000_000

    # A chunk is committed whole: a few hundred conversations to look up, or so many changes (semantics 3.4).
    chunk_transitions: int = 300
    chunk_changes: int = 2_000

    # Gladly silently cuts the report off after 100,000 rows (Gladly REST API, Reports). A day with this many
    # rows is taken to be cut.
    report_whole_rows: int = 99_000

    # Ten POST /reports a minute for an organization (Gladly REST API, rate limits).
    reports_per_minute: int = 10

    # Gladly makes the whole report before it sends a byte of it, which can take minutes.
    report_deadline_s: float = 900.0

    # A row of the report is some names, ids and reasons. A longer line is not the report's.
    report_line_max_characters: int = 1_000_000

    # A report that may have been cut is asked for this often, until two answers in a row are the same.
    report_asks: int = 4

    # How many are kept in memory. The conversations are those of two chunks. A profile is 2 KB as objects,
    # and a quarter of that as JSON.
    kept_profiles: int = 2_000
    kept_conversations: int = 600

    # Events become visible up to 15 seconds late (Gladly REST API, Events). So what was recorded before that
    # is known.
    visible_after: timedelta = timedelta(seconds=15)

    # A look-up that took longer to fail is not made again in the same cycle.
    slow_failure_s: float = 3.0

    # So many look-ups that fail one after the other raise the question whether Gladly is down.
    suspicious_failures: int = 8

    # A list of names is read again after this time, and for an unknown id after the shorter time.
    names_fresh_s: float = 3_600.0
    names_unknown_s: float = 60.0

    # A request that takes longer has a latency worth hiding. Gladly's requests take 100 ms and more.
    slow_request_s: float = 0.005
