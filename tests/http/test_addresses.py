"""Which addresses are this machine: only there do credentials go without TLS."""

import subprocess
import sys

import pytest

from sync.http.addresses import is_loopback


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8080", "http://127.0.0.1", "http://127.8.8.8/x", "http://[::1]:1/", "//localhost"],
)
def test_this_machine_is_recognised(url):
    """By name, by IPv4 and by IPv6."""
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.gladly.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://",
        "",
    ],
)
def test_another_machine_is_not(url):
    """A name that only begins like this machine's is another machine's."""
    assert not is_loopback(url)


def test_asking_imports_no_http_library():
    """Reading the settings asks this, and starting up is to stay fast."""
    program = "import sys, sync.http.addresses; print({'requests', 'urllib3', 'tenacity'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"
