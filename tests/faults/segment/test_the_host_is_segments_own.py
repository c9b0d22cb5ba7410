"""`check` reaches Segment itself, and looks at the form of the write key (faults D6, semantics 4.7)."""

import contextlib

import pytest

from sandbox import Fault
from support.endpoints import BATCH
from support.tls import TlsProxy, certificate

WARNING = "Segment's write keys are 32 letters and digits, and this one is not."
KEY = "aB3dE6gH9" * 3 + "k12L4"


@pytest.fixture
def at_segment(installation, sandbox, tmp_path):
    """Return a context manager in which the sandbox's Segment is a host of this name, over HTTPS."""

    @contextlib.contextmanager
    def at(host, **settings):
        cert, key = certificate(tmp_path, host)
        with TlsProxy(sandbox.segment_url, cert, key) as proxy:
            for name in ("NO_PROXY", "no_proxy", "GLADLY_SEGMENT_SEGMENT__BASE_URL"):
                installation.settings[name] = ""
            installation.settings |= {
                "HTTPS_PROXY": proxy.url,
                "https_proxy": proxy.url,
                "REQUESTS_CA_BUNDLE": str(cert),
                "SEGMENT_WRITE_KEY": KEY,
                **settings,
            }
            yield proxy
            assert set(proxy.connects) <= {f"{host}:443"}

    return at


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        ("api.segment.io", {}),
        ("events.eu1.segmentapis.com", {"GLADLY_SEGMENT_SEGMENT__REGION": "eu"}),
        ("in.eu2.segmentapis.com", {"GLADLY_SEGMENT_SEGMENT__BASE_URL": "https://in.eu2.segmentapis.com/v1"}),
    ],
)
def test_check_leaves_no_mark_at_segment(installation, sandbox, at_segment, host, settings):
    """No batch is sent, not even an empty one, which would count as failed in the customer's overview."""
    with at_segment(host, **settings):
        done = installation.run("check")
    assert done.returncode == 0, done.stdout
    assert "proves neither the write key nor the region" in done.stdout
    assert WARNING not in done.stdout
    assert [(request.method, request.path) for request in sandbox.segment_requests] == [("OPTIONS", BATCH)]


@pytest.mark.parametrize(
    ("status", "code"), [(301, 0), (403, 0), (404, 0), (405, 0), (429, 1), (500, 1), (503, 1)]
)
def test_any_answer_of_a_host_that_has_proved_its_name_will_do(
    installation, sandbox, at_segment, status, code
):
    """It is there. One that says itself that it is not well is said to be so."""
    sandbox.faults.add("segment", "*", Fault(status, {"Retry-After": "600"}, times=None))
    with at_segment("api.segment.io"):
        done = installation.run("check")
    assert done.returncode == code
    assert (f"answered {status}" in done.stdout) is (code == 1)


def test_a_host_that_cannot_prove_its_name_is_not_segment(installation, sandbox, at_segment):
    """Nothing is sent to it, and `check` says why (faults A19)."""
    with at_segment("api.segment.io", REQUESTS_CA_BUNDLE=""):
        done = installation.run("check")
    assert done.returncode == 1
    assert "certificate verify failed" in done.stdout
    assert sandbox.segment_requests == []


@pytest.mark.parametrize("key", [KEY[:-1], KEY + "x", KEY[:-1] + "-", KEY[:31] + "_", "sandbox-write-key"])
def test_a_key_of_another_form_is_warned_of(installation, sandbox, at_segment, key):
    """The warning names the setting and not the key. It is a warning, because nobody promises the form."""
    with at_segment("api.segment.io", SEGMENT_WRITE_KEY=key):
        done = installation.run("check")
    assert done.returncode == 0
    assert WARNING in done.stdout
    assert "SEGMENT_WRITE_KEY (or segment.write_key_file)" in done.stdout
    assert key not in done.stdout


def test_other_receivers_have_keys_of_their_own_and_are_sent_an_empty_batch(installation, sandbox):
    """Their batch endpoint may be missing, and their overview is not Segment's."""
    done = installation.run("check")
    assert done.returncode == 0
    assert WARNING not in done.stdout
    assert [(request.method, request.path) for request in sandbox.segment_requests] == [("POST", BATCH)]
