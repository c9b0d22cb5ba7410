"""The typed settings: their defaults, and what they come to (interface 3)."""

from datetime import timedelta
from pathlib import Path

from support.config_samples import WHO
from sync.events.options import AS_GLADLY, EventOptions


def test_what_has_to_be_said_is_little(settings):
    """An organization and a user name; everything else is as interface 3 says."""
    config = settings(WHO)
    gladly, segment, sync, state, log = (
        getattr(config.settings, name) for name in ("gladly", "segment", "sync", "state", "log")
    )
    assert (gladly.url, gladly.requests_per_second) == ("https://acme.gladly.com", 7)
    assert (segment.region, segment.url, segment.gzip) == ("us", "https://api.segment.io", False)
    assert (sync.every, sync.cron, sync.start) == (timedelta(seconds=60), None, "now")
    assert (sync.overlap, sync.closed_timestamp, sync.reopened) == (timedelta(seconds=60), "created", False)
    assert (state.path, state.retention) == (Path("gladly-segment.db"), timedelta(days=30))
    assert (log.level, log.format) == ("info", "auto")
    assert config.event_options == AS_GLADLY


def test_unset_there_are_neither(settings):
    """Both are wanted or not there."""
    config = settings(WHO + "[metrics]\n[heartbeat]\n")
    assert (config.settings.metrics.address, config.secrets.heartbeat_url) == (None, None)


def test_the_european_region_is_another_host(settings):
    """Segment silently drops events sent to the wrong one."""
    config = settings(WHO + '[segment]\nregion = "eu"\n')
    assert config.settings.segment.url == "https://events.eu1.segmentapis.com"


def test_everything_can_be_said(settings):
    """The file of interface 3, with other values than the usual ones."""
    config = settings(
        """
        [gladly]
        base_url = "https://acme.example.com/"
        username = "sync@example.com"
        requests_per_second = 0.5
        [segment]
        base_url = "https://segment.example.com/v1"
        [sync]
        cron = "*/5 * * * *"
        start = "36h"
        overlap = "2m"
        closed_timestamp = "closed"
        reopened = true
        inboxes = ["Shop A", "inbox-2"]
        [properties]
        add = ["closedAt"]
        leave_out = ["phone", "topicIds"]
        hash = ["email"]
        user_id = "externalCustomerId"
        [identify]
        traits = true
        [state]
        path = "/var/lib/sync/state.db"
        retention = "7d"
        [log]
        level = "debug"
        format = "json"
        """
    )
    read = config.settings
    assert (read.gladly.url, read.gladly.requests_per_second) == ("https://acme.example.com", 0.5)
    assert read.segment.url == "https://segment.example.com"
    assert (read.sync.cron, read.sync.start, read.sync.overlap) == (
        "*/5 * * * *",
        "36h",
        timedelta(minutes=2),
    )
    assert (read.sync.closed_timestamp, read.sync.reopened) == ("closed", True)
    assert read.properties == (("closedAt",), ("phone", "topicIds"), ("email",), "externalCustomerId")
    assert config.event_options == EventOptions(
        "closed",
        True,
        ("closedAt",),
        ("phone", "topicIds"),
        ("email",),
        "externalCustomerId",
        traits=True,
        inboxes=("Shop A", "inbox-2"),
    )
    assert (config.state_path, read.state.retention) == (Path("/var/lib/sync/state.db"), timedelta(days=7))
    assert (read.log.level, read.log.format) == ("debug", "json")


def test_an_address_wins_over_an_organization(settings):
    """Beside `organization`, `base_url` is the exception somebody made: a sandbox, a test server."""
    assert (
        settings(WHO + 'base_url = "https://acme.example.com"\n').settings.gladly.url
        == "https://acme.example.com"
    )


def test_the_state_file_stands_beside_the_config(settings, tmp_path):
    """Its path is relative to the config file, not to where the command is given."""
    (tmp_path / "etc").mkdir()
    assert settings(WHO, file="etc/config.toml").state_path == Path("etc/gladly-segment.db")
