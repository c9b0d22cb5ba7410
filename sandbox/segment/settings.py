"""How the local Segment behaves: its write key and its limit."""

from dataclasses import dataclass


@dataclass
class SegmentSettings:
    """
    How the local Segment behaves. Everything except the limit can be changed while it runs.

    Attributes:
        write_key: The source's write key.
        check_write_key: False accepts any key, as some of Segment's servers do.
        requests_per_second: The limit; above it Segment answers 429. None means no limit. Segment asks its
            clients to stay below 1000.
        latency_s: Real seconds added to every answer.
    """

    write_key: str = "sandbox-write-key"
    check_write_key: bool = True
    requests_per_second: float | None = None
    latency_s: float = 0.0
