"""The environment names credentials, a proxy or a certificate authority (faults A22)."""

import pytest

from state.instants import from_text
from support.checker import problems
from support.tls import TlsProxy, certificate
from support.worlds import one_conversation


def test_neither_netrc_nor_a_proxy_stands_between_us_and_a_loopback_address(installation, sandbox):
    """
    The configured credentials are sent, whatever `.netrc` says. No proxy is asked for 127.0.0.1 (faults A22).
    """
    one_conversation(sandbox)
    netrc = installation.directory / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\ndefault login a password b\n")
    netrc.chmod(0o600)
    dead = "http://127.0.0.1:9"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    installation.settings |= dict.fromkeys(names, dead) | {
        "NETRC": str(netrc),
        "NO_PROXY": "",
        "no_proxy": "",
        "REQUESTS_CA_BUNDLE": "/nowhere/at/all.pem",
    }
    done = installation.run("once")
    assert done.returncode == 0, done.stderr
    assert {r.user for r in sandbox.gladly_requests} == {sandbox.gladly.username}
    assert {r.user for r in sandbox.segment_requests} == {sandbox.segment.write_key}
    assert problems(sandbox) == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_proxy_and_a_ca_of_the_environment_are_honoured_and_netrc_is_not(
    installation, sandbox, tmp_path, variable
):
    """
    A proxy and a CA that a company sets for all its programs work here too. The credentials are still the
    configured ones (faults A22).
    """
    one_conversation(sandbox)
    host = "acme.gladly.example.com"
    cert, key = certificate(tmp_path, host)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {host} login someone password else\n")
    netrc.chmod(0o600)
    with TlsProxy(sandbox.gladly_url, cert, key) as proxy:
        for name in ("NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            installation.settings[name] = ""
        installation.settings |= {
            "GLADLY_SEGMENT_GLADLY__BASE_URL": f"https://{host}",
            "HTTPS_PROXY": proxy.url,
            "https_proxy": proxy.url,
            "NETRC": str(netrc),
            variable: str(cert),
        }
        done = installation.run("once")
        assert done.returncode == 0, done.stderr
        assert set(proxy.connects) == {f"{host}:443"}
    assert {r.user for r in sandbox.gladly_requests} == {sandbox.gladly.username}
    assert all(from_text(e["timestamp"]) for e in sandbox.inbox.received)
    assert problems(sandbox) == []
