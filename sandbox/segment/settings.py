"""How the local Segment behaves: its write key and its limit."""

from dataclasses import dataclass


@dataclass
class SegmentSettings:
    """
    How the local Segment behaves; may be changed while it runs, except the limit.

    Attributes:
        write_key: The source's key.
        check_write_key: False takes any key, as some of Segment's edges do.
        requests_per_second: Over it 429; None for no limit. Segment asks to stay below 1000.
        latency_s: Real seconds added to every answer.
    """

    write_key: str = "sandbox-write-key"
    check_write_key: bool = True
    requests_per_second: float | None = None
    latency_s: float = 0.0
