"""`config show`: every setting in effect, and where it comes from."""

import json

import pytest

from sync.settings.sections import Settings

TOKEN, URL = "canary-token", "https://monitor.example.com/ping/canary"

CONFIG = """
[gladly]
organization = "https://acme.us-1.gladly.com/"
username = "sync@example.com"
api_token_file = "token"
[sync]
every = "15m"
[heartbeat]
url_file = "nowhere"
"""


@pytest.fixture
def shown(command, tmp_path):
    """Return what `config show --json` says of a config.toml, with more variables."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "token").write_text(TOKEN)

    def show(**variables):
        ended = command("config", "show", "--json", **variables)
        assert (ended.code, ended.err) == (0, "")
        assert "canary" not in ended.out
        return {name: tuple(found.values()) for name, found in json.loads(ended.out).items()}

    return show


def test_each_value_says_where_it_comes_from(shown, tmp_path):
    """The file, a variable, another setting, or the default."""
    found = shown(GLADLY_SEGMENT_SYNC__OVERLAP="90s", GLADLY_SEGMENT_SEGMENT__REGION="eu")
    assert found["gladly.organization"] == ("acme.us-1", "file", "config.toml")
    assert found["gladly.base_url"] == ("https://acme.us-1.gladly.com", "setting", "gladly.organization")
    assert found["segment.base_url"] == ("https://events.eu1.segmentapis.com", "setting", "segment.region")
    assert found["sync.every"] == ("15m", "file", "config.toml")
    assert found["sync.overlap"] == ("90s", "environment", "GLADLY_SEGMENT_SYNC__OVERLAP")
    assert found["sync.reconcile"] == ("24h", "default", None)
    assert found["sync.reopened"] == ("false", "default", None)
    assert found["gladly.requests_per_second"] == ("7", "default", None)
    assert found["state.path"] == (str(tmp_path / "gladly-segment.db"), "default", None)
    assert found["properties.add"] == ("none", "default", None)


def test_a_secret_is_set_or_not_set(shown, tmp_path):
    """And never shown, wherever it is."""
    found = shown(SEGMENT_WRITE_KEY="canary-key")
    assert found["gladly.api_token"] == ("set", "file", str(tmp_path / "token"))
    assert found["segment.write_key"] == ("set", "environment", "SEGMENT_WRITE_KEY")
    assert found["segment.public_api_token"] == ("not set", "default", None)
    assert found["heartbeat.url"] == ("not set", "file", str(tmp_path / "nowhere"))
    found = shown(GLADLY_SEGMENT_HEARTBEAT__URL=URL)
    assert found["heartbeat.url"] == ("set", "environment", "GLADLY_SEGMENT_HEARTBEAT__URL")


def test_no_setting_is_left_out(shown):
    """A setting that is new is shown without another line of code."""
    every = {f"{section}.{key}" for section, values in Settings()._asdict().items() for key in values._fields}
    assert every - set(shown()) == set()


def test_a_person_reads_a_line_for_each(command, tmp_path):
    """The name, the value, the place. A mistake is exit 2, as everywhere."""
    (tmp_path / "config.toml").write_text(CONFIG)
    lines = command("config", "show", GLADLY_SEGMENT_LOG__LEVEL="debug").out.splitlines()
    assert [line.split() for line in lines if line.startswith(("sync.every", "log.level", "log.format"))] == [
        ["sync.every", "15m", "config.toml"],
        ["log.level", "debug", "GLADLY_SEGMENT_LOG__LEVEL"],
        ["log.format", "auto", "default"],
    ]
    refused = command("config", "show", GLADLY_SEGMENT_LOG__LEVEL="loud")
    assert (refused.code, refused.out) == (2, "")
    assert "The variable GLADLY_SEGMENT_LOG__LEVEL is 'loud'; it must be" in refused.err
