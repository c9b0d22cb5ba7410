"""
Define the typed settings: a class for each section of config.toml, and `Config`, which holds them all.

The annotation of a setting names its type and the reader (`sync.settings.values`) that makes a value of this
type. To add a setting, add a line here and a line in config.toml.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from sync.events.options import ADDABLE, HASHABLE, OPTIONAL, USER_IDS, EventOptions
from sync.settings import values
from sync.settings.secrets import Secrets
from sync.settings.values import Secret, one_of, some_of

# Segment docs, "Regional Segment". Segment answers 200 to an EU workspace's event at the US address, and
# drops it.
SEGMENT_URLS = {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}

# segment-public-api, hosts. They are not the hosts of the Tracking API.
PUBLIC_API_URLS = {"us": "https://api.segmentapis.com", "eu": "https://eu1.api.segmentapis.com"}


class GladlySettings(NamedTuple):
    """`[gladly]`: the organization, the agent, and the request rate."""

    organization: Annotated[str | None, values.organization] = None
    base_url: Annotated[str | None, values.gladly_base_url] = None
    username: Annotated[str | None, values.text] = None
    api_token_file: Annotated[Path | None, values.path] = None
    requests_per_second: Annotated[float, values.request_rate] = 7.0

    @property
    def url(self) -> str:
        """Return the base URL of the organization's API, without its path."""
        organization = self.organization or ""
        host = organization if organization.endswith(".gladly.qa") else f"{organization}.gladly.com"
        return self.base_url or f"https://{host}"


class SegmentSettings(NamedTuple):
    """`[segment]`: the region or the receiver, and where Segment's Public API is."""

    write_key_file: Annotated[Path | None, values.path] = None
    region: Annotated[Literal["us", "eu"], one_of("us", "eu")] = "us"
    base_url: Annotated[str | None, values.segment_base_url] = None
    gzip: Annotated[bool, values.true_or_false] = False
    public_api_token_file: Annotated[Path | None, values.path] = None
    public_api_url: Annotated[str | None, values.public_api_url] = None

    @property
    def url(self) -> str:
        """Return the base URL of the Tracking API, without its path."""
        return self.base_url or SEGMENT_URLS[self.region]

    @property
    def public_api(self) -> str:
        """Return the base URL of the Public API."""
        return self.public_api_url or PUBLIC_API_URLS[self.region]


class SyncSettings(NamedTuple):
    """`[sync]`: when cycles run, where the first one begins, and what they send."""

    every: Annotated[timedelta, values.interval] = timedelta(seconds=60)
    cron: Annotated[str | None, values.cron] = None
    start: Annotated[str, values.start] = "now"
    overlap: Annotated[timedelta, values.overlap] = timedelta(seconds=60)
    reconcile: Annotated[timedelta | None, values.duration_or_off] = timedelta(hours=24)
    audit: Annotated[timedelta | None, values.duration_or_off] = timedelta(hours=24)
    closed_timestamp: Annotated[Literal["created", "closed"], one_of("created", "closed")] = "created"
    reopened: Annotated[bool, values.true_or_false] = False
    inboxes: Annotated[tuple[str, ...], values.names] = ()


class PropertiesSettings(NamedTuple):
    """`[properties]`: how events differ from those of Gladly's own integration (semantics 1.3)."""

    add: Annotated[tuple[str, ...], some_of(*ADDABLE)] = ()
    leave_out: Annotated[tuple[str, ...], some_of(*OPTIONAL)] = ()
    hash: Annotated[tuple[str, ...], some_of(*HASHABLE)] = ()
    user_id: Annotated[str, one_of(*USER_IDS)] = USER_IDS[0]


class IdentifySettings(NamedTuple):
    """`[identify]`: whether identify calls are sent as well (semantics 1.4)."""

    traits: Annotated[bool, values.true_or_false] = False


class StateSettings(NamedTuple):
    """`[state]`: where the state file is, and how long it keeps payloads."""

    path: Annotated[Path, values.path] = Path("gladly-segment.db")
    retention: Annotated[timedelta, values.duration] = timedelta(days=30)


class LogSettings(NamedTuple):
    """`[log]`: which log lines are written, and in which format."""

    level: Annotated[str, one_of("debug", "info", "warning", "error")] = "info"
    format: Annotated[str, one_of("auto", "console", "json")] = "auto"


class MetricsSettings(NamedTuple):
    """`[metrics]`: where `run` serves its metrics to Prometheus. Without an address, it serves none."""

    listen: Annotated[str | None, values.listen] = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Return the host and the port to listen on. Return None without an address."""
        if self.listen is None:
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class HeartbeatSettings(NamedTuple):
    """`[heartbeat]`: the URL to request after each good cycle. The URL is a secret."""

    url: Annotated[Secret | None, values.heartbeat_url] = None
    url_file: Annotated[Path | None, values.path] = None


class Settings(NamedTuple):
    """Hold everything that a person can set, one field for each section."""

    gladly: GladlySettings = GladlySettings()
    segment: SegmentSettings = SegmentSettings()
    sync: SyncSettings = SyncSettings()
    properties: PropertiesSettings = PropertiesSettings()
    identify: IdentifySettings = IdentifySettings()
    state: StateSettings = StateSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()


class Config(NamedTuple):
    """
    Hold the settings of a run, and its secrets.

    Attributes:
        directory: The directory of the config file. Relative paths in the settings start there.
    """

    settings: Settings
    secrets: Secrets
    directory: Path

    @property
    def event_options(self) -> EventOptions:
        """Return how events differ from those of Gladly's own integration."""
        sync, properties = self.settings.sync, self.settings.properties
        return EventOptions(
            closed_timestamp=sync.closed_timestamp,
            reopened=sync.reopened,
            add=properties.add,
            leave_out=properties.leave_out,
            hashed=properties.hash,
            user_id=properties.user_id,
            traits=self.settings.identify.traits,
            inboxes=sync.inboxes,
        )

    @property
    def state_path(self) -> Path:
        """Return the path of the state file."""
        return self.directory / self.settings.state.path
