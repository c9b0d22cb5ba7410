"""`[metrics]` and `[heartbeat]`: what they take, and what they say to what they do not."""

import pytest

from sync.errors import SettingsError
from sync.settings.loading import load

URL = "https://monitor.example.com/ping/canary"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Load this config.toml, with what else it takes to run."""
    monkeypatch.setenv("GLADLY_API_TOKEN", "token")
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "key")

    def load_them(toml):
        file = tmp_path / "config.toml"
        file.write_text('[gladly]\norganization = "acme"\nusername = "sync@example.com"\n' + toml)
        return load(str(file))

    return load_them


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("9464", ("127.0.0.1", 9464)),
        ('"9464"', ("127.0.0.1", 9464)),
        ('":9464"', ("127.0.0.1", 9464)),
        ('"127.0.0.1:9464"', ("127.0.0.1", 9464)),
        ('"localhost:9464"', ("localhost", 9464)),
        ('"0.0.0.0:9464"', ("0.0.0.0", 9464)),
        ('"[::1]:9464"', ("::1", 9464)),
        ('"[::]:0"', ("::", 0)),
    ],
)
def test_a_port_alone_is_this_machines_own(settings, listen, address):
    """Who wants others to reach it writes out where."""
    assert settings(f"[metrics]\nlisten = {listen}\n").settings.metrics.address == address


@pytest.mark.parametrize(
    "listen", ['"everywhere"', '"127.0.0.1:"', '":70000"', "-1", "true", "[9464]", '"a b:1"']
)
def test_what_is_no_address_is_refused(settings, listen):
    """With what one looks like."""
    with pytest.raises(
        SettingsError, match=r'metrics\.listen: must be an address and a port like "127\.0\.0\.1:9464"'
    ):
        settings(f"[metrics]\nlisten = {listen}\n")


def test_unset_there_are_neither(settings):
    """Both are wanted or not there."""
    config = settings("[metrics]\n[heartbeat]\n")
    assert (config.settings.metrics.address, config.secrets.heartbeat_url) == (None, None)


def test_the_environment_wins_over_the_file_and_over_the_file_named(settings, monkeypatch):
    """As for every setting."""
    monkeypatch.setenv("GLADLY_SEGMENT_METRICS__LISTEN", "1234")
    monkeypatch.setenv("GLADLY_SEGMENT_HEARTBEAT__URL", URL)
    config = settings('[metrics]\nlisten = 9464\n[heartbeat]\nurl_file = "missing"\n')
    assert config.settings.metrics.address == ("127.0.0.1", 1234)
    assert config.secrets.heartbeat_url == URL


def test_the_settings_do_not_show_the_heartbeats_url(settings):
    """Whoever prints them."""
    config = settings(f'[heartbeat]\nurl = "{URL}"\n')
    assert config.secrets.heartbeat_url == URL
    assert "canary" not in repr(config)


@pytest.mark.parametrize("url", ["271828", '["271828"]', "{a = 271828}"])
def test_a_url_of_the_wrong_type_is_not_repeated(settings, url):
    """It may be what somebody else must not see."""
    with pytest.raises(SettingsError) as refused:
        settings(f"[heartbeat]\nurl = {url}\n")
    assert "heartbeat.url: must be a URL" in str(refused.value)
    assert "271828" not in str(refused.value)
