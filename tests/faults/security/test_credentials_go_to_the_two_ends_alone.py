"""The credentials are sent to the two ends, and to nobody else (faults G3)."""

import pytest

from sandbox import Fault
from support.processes import errors_of
from support.raw_server import RawServer
from support.recovery import assert_nothing_lost
from support.worlds import history

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://api.example.com", "must begin with https://"),
        ("http://127.0.0.1.example.com", "must begin with https://"),
        ("http://localhost.example.com:8410", "must begin with https://"),
        ("https://someone:pAsSw0rd@api.example.com", "must not contain a user name or password"),
        ("https://pAsSw0rd@api.example.com", "must not contain a user name or password"),
        ("http://127.0.0.1:pAsSw0rd@api.example.com", "must"),
        ("ftp://api.example.com", "must be a URL like"),
        ("file:///etc/passwd", "must be a URL like"),
        ("//api.example.com", "must be a URL like"),
        ("https://api.example.com/?to=https://example.org", "must be a URL like"),
    ],
)
def test_an_address_that_would_give_secrets_away_is_refused(guarded, url, sentence):
    """
    For either end, the command ends with exit 2 before any request. The error names the variable that holds
    it, and does not repeat a password in it (faults G3).
    """
    guarded.settings |= {"GLADLY_SEGMENT_GLADLY__BASE_URL": url, "GLADLY_SEGMENT_SEGMENT__BASE_URL": url}
    done = guarded.run("once")
    assert done.returncode == 2
    for end in ("GLADLY", "SEGMENT"):
        begins = f"error: The variable GLADLY_SEGMENT_{end}__BASE_URL: {sentence}"
        assert any(line.startswith(begins) for line in done.stderr.splitlines())
    assert "pAsSw0rd" not in done.stderr
    assert guarded.sandbox.gladly_requests == []
    assert guarded.sandbox.segment_requests == []
    assert not guarded.state_path.exists()


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_credentials_go_to_the_configured_host_alone(guarded, side):
    """A redirect to a foreign host is an error. That host sees no connection (faults G3)."""
    history(guarded.sandbox)
    with RawServer(lambda request, sock: None) as foreign:
        guarded.sandbox.faults.add(
            side, "*", Fault(status=307, headers={"Location": foreign.url + "/x"}, times=None)
        )
        done = guarded.run("once")
        assert foreign.seen == []
    assert done.returncode == 1
    assert "redirect" in errors_of(done)
    guarded.sandbox.faults.clear()
    assert_nothing_lost(guarded)
