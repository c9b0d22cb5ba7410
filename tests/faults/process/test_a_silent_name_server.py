"""The name of an end is never resolved, because no name server answers (faults H2.6)."""

import signal
import time

import pytest

from support.confinement import with_a_silent_name_server
from support.processes import ends_within, errors_of, run_under, start_under, stop_process

pytestmark = pytest.mark.long


@pytest.fixture
def nowhere(installation):
    """The program is set up for ends whose names nobody resolves, in place of the sandbox."""
    installation.settings |= {
        "GLADLY_SEGMENT_GLADLY__BASE_URL": "https://acme.gladly.example",
        "GLADLY_SEGMENT_SEGMENT__BASE_URL": "https://api.segment.example",
    }
    return installation


def test_once_gives_up_in_time(nowhere):
    """`once` ends within 20 s, and says that no name server answers (faults H2.6)."""
    prefix, begun = with_a_silent_name_server(nowhere.directory), time.monotonic()
    done = run_under(nowhere, prefix, "once")
    assert time.monotonic() - begun < 20
    assert done.returncode == 1
    assert "acme.gladly.example: no name server answered in time" in errors_of(done)


def test_check_says_it_of_both_ends(nowhere):
    """The check of each end fails within its patience."""
    begun = time.monotonic()
    done = run_under(nowhere, with_a_silent_name_server(nowhere.directory), "check")
    assert time.monotonic() - begun < 40
    assert done.stdout.count("no name server answered in time") == 2


@pytest.mark.parametrize(("command", "code"), [("run", 0), ("once", 1), ("resync", 1)])
def test_a_signal_ends_the_process_in_time(nowhere, command, code):
    """`getaddrinfo` cannot be interrupted, and the process does not wait for it (faults H2.6)."""
    options = ["--since", "1h"] if command == "resync" else []
    prefix = with_a_silent_name_server(nowhere.directory)
    process = start_under(nowhere, prefix, command, *options)
    try:
        time.sleep(2)
        assert ends_within(process, 10, signal.SIGTERM) == code
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    finally:
        stop_process(process)
