"""How the local Segment behaves: its source, its workspace, its limits."""

from dataclasses import dataclass, field
from typing import Literal

WrongKeys = Literal["as_segment", "refused", "taken"]
Region = Literal["us", "eu"]
Access = Literal["source_admin", "source_reader", "none"]
# Why Segment blocks an event at the source (segment-public-api, "filtered at source").
BlockedFor = Literal["unplanned", "schema_violation", "event_setting"]


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
        source_enabled: Whether the source is enabled. Segment answers 200 to the key of a disabled source,
            and drops its events (`source_disabled`).
        region: Where the source's workspace is.
        tracking_region: Which region's Tracking API this one plays. In another region than the workspace's,
            the events are answered 200 and dropped (`project_not_found`).
        public_api_region: Which region's Public API this one plays. In another region than the workspace's,
            the token is unknown (401).
        blocked_events: The events that the workspace's tracking plan blocks after the 200, by name, each with
            the reason.
        public_api_token: The workspace's token for the Public API.
        access: What the token may do. `source_reader` is shown no write keys. `none` is answered 403.
        other_sources: How many other sources the workspace has. They stand before ours in the list.
        volume_requests_per_minute: The limit of `/events/volume`; None means no limit.
    """

    write_key: str = "sandbox-write-key"
    wrong_keys: WrongKeys = "as_segment"
    requests_per_second: float | None = None
    latency_s: float = 0.0
    source_enabled: bool = True
    region: Region = "us"
    tracking_region: Region = "us"
    public_api_region: Region = "us"
    blocked_events: dict[str, BlockedFor] = field(default_factory=dict)
    public_api_token: str = "sandbox-public-api-token"  # noqa: S105  # the sandbox's own
    access: Access = "source_admin"
    other_sources: int = 2
    volume_requests_per_minute: int | None = 60
