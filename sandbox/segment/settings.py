"""How the local Segment behaves: its write key and its limit."""

from dataclasses import dataclass
from typing import Literal

WrongKeys = Literal["as_segment", "refused", "taken"]


@dataclass
class SegmentSettings:
    """
    How the local Segment behaves. Everything except the limit can be changed while it runs.

    Attributes:
        write_key: The source's write key.
        wrong_keys: What becomes of any other key. `as_segment`: one that has the form of Segment's keys is
            answered 200 and its events are dropped; one that is empty, short or of another form is answered
            400, whatever is sent. `refused`: it is answered 401, as by some Segment-compatible receivers.
            `taken`: it is another source's key, and its events are received.
        requests_per_second: The limit; above it Segment answers 429. None means no limit. Segment asks its
            clients to stay below 1000.
        latency_s: Real seconds added to every answer.
    """

    write_key: str = "sandbox-write-key"
    wrong_keys: WrongKeys = "as_segment"
    requests_per_second: float | None = None
    latency_s: float = 0.0
