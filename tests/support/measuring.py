"""Run a command as a process, and measure its cost."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from support.installation import Installation


class Measured(NamedTuple):
    """A command that has ended, and its cost."""

    returncode: int
    stderr: str
    peak_bytes: int
    seconds: float


# The program as it is, but for how often it tries; it says what it held in memory at the most.
_MEASURED = """
import atexit, re, sys
from sync.cli.main import main
from sync.http.retry import RetryPolicy
from sync.runtime.build import Tuning

@atexit.register
def say():
    print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])

main(tuning=Tuning(retry=RetryPolicy(max_attempts=int(sys.argv.pop(1)))))
"""


def run_measured(installation: Installation, *, attempts: int = 1, timeout: float = 60) -> Measured:
    """Run `once` with so many attempts for each request, and measure its peak of resident memory."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(attempts), "once"],
        cwd=installation.directory,
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Measured(done.returncode, done.stderr, int(done.stdout) * 1024, time.monotonic() - began)


def cpu_seconds(pid: int) -> float:
    """Return how many seconds of CPU a running process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    """Return the peak of a running process's resident memory."""
    found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


linux_only = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
