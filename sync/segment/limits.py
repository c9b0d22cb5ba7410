"""
Define what Segment accepts, and how long to wait for it: a value that is passed to the client.

Tell how Segment's own hosts and keys look.
"""

import re
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

# The hosts of Segment's own regions are in these domains (Segment docs, "Regional Segment").
_DOMAINS = re.compile(r"(?:.+\.)?(?:segment\.io|segmentapis\.com)\.?")

# Public reports over ten years show Segment's write keys as 32 letters and digits (segment-api).
_WRITE_KEY = re.compile(r"[A-Za-z0-9]{32}")


def is_segments_own(url: str) -> bool:
    """Return whether the URL's host is Segment itself, and not a Segment-compatible receiver."""
    return _DOMAINS.fullmatch(urlsplit(url).hostname or "") is not None


def region_of(url: str) -> str | None:
    """Return the region of an address of Segment's own, `us` or `eu`. Return None for any other address."""
    if not is_segments_own(url):
        return None
    labels = (urlsplit(url).hostname or "").split(".")
    return "eu" if any(label.startswith("eu") for label in labels) else "us"


def looks_like_a_write_key(key: str) -> bool:
    """Return whether *key* has the form of Segment's own write keys."""
    return _WRITE_KEY.fullmatch(key) is not None


class SegmentLimits(NamedTuple):
    """
    Hold the limits of Segment's HTTP Tracking API, each with its source, and our own limits.

    A KB is taken as 1,000 bytes. This is safe even if Segment means 1,024 bytes.

    Attributes:
        batch_max_bytes: The size of a request's body, before compression.
        batch_max_events: How many events one batch holds. Segment answers 200 to a larger batch and
            silently drops the events, so this program counts them.
        event_max_bytes: The size of one event as JSON.
        probes: How many events are tried alone when a batch is refused and the receiver has taken no event
            lately. When it refuses these too, the events are not at fault.
        request_deadline_s: Seconds for one request, its answer included. Only a slow line needs half a
            minute for a whole batch of 500 KB.
        answer_max_bytes: How much of an answer to a 2xx is read. Segment's own is under 100 bytes.
        refusal_max_bytes: How much of an error answer is read.
        gzip_level: zlib's fastest level. It shrinks a batch to an eighth, at 2 ms of CPU. The default level
            shrinks it to a tenth, at 4 ms.
    """

    # Segment HTTP Tracking API, batch: 500 KB a request, 2,500 events; and 32 KB an event.
    batch_max_bytes: int = 500_000
    batch_max_events: int = 2_500
    event_max_bytes: int = 32_000
    probes: int = 4
    request_deadline_s: float = 30.0
    answer_max_bytes: int = 1_000_000
    refusal_max_bytes: int = 100_000
    gzip_level: int = 1

    def too_large(self, payload: bytes) -> str | None:
        """Return why an event is rejected unsent (semantics 4.4). Return None when it may be sent."""
        if len(payload) <= self.event_max_bytes:
            return None
        return f"{len(payload)} bytes, and Segment takes at most {self.event_max_bytes} an event"


class PublicApiLimits(NamedTuple):
    """
    Hold the limits of Segment's Public API, each with its source, and our own limits.

    Attributes:
        page_size: How many rows are asked for at a time (segment-public-api, pages: at most 1,000).
        most_pages: How many pages of one list are read. So an API that never ends a list ends no audit.
        request_deadline_s: Seconds for one request, its answer included.
        answer_max_bytes: How much of an answer is read. A page of 1,000 sources is about 1 MB.
        refusal_max_bytes: How much of an error answer is read.
        reaches_back: How old the start of the delivery overview may be, by days.
    """

    page_size: int = 1_000
    most_pages: int = 50
    request_deadline_s: float = 30.0
    answer_max_bytes: int = 20_000_000
    refusal_max_bytes: int = 100_000
    reaches_back: timedelta = timedelta(days=30)
