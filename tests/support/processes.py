"""Run commands of the program as processes, under conditions and to their end."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from support.installation import Installation

FAILPOINT = "GLADLY_SEGMENT_FAILPOINT"


Process = subprocess.Popen[str]


def start_under(installation: Installation, prefix: list[str], *arguments: str, **options: Any) -> Process:
    """Start a command of the program through *prefix*, which ends in running what follows it."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "sync", *arguments],
        cwd=installation.directory,
        env=installation.environment,
        **options,
    )


def run_under(
    installation: Installation, prefix: list[str], *arguments: str, timeout: float = 60, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run a command of the program through *prefix* to its end."""
    process = start_under(installation, prefix, *arguments, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        stop_process(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out or "", err or "")


def stop_process(process: Process) -> None:
    """Make sure that *process* has ended and that its pipes are closed."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@contextlib.contextmanager
def running(installation: Installation, *arguments: str) -> Iterator[Process]:
    """Run a command of the program for the time of a block, with its log in `stderr.txt`."""
    with (installation.directory / "stderr.txt").open("w") as log:
        process = start_under(installation, [], *arguments, stderr=log)
        try:
            yield process
        finally:
            stop_process(process)


def stderr_of(installation: Installation) -> str:
    """Return what a `running` command has written to standard error."""
    return (installation.directory / "stderr.txt").read_text("utf-8")


def cycles_of(installation: Installation) -> list[tuple[datetime, datetime]]:
    """Return when each cycle that a `running` command has logged began and ended, by its own clock."""
    try:
        lines = stderr_of(installation).splitlines(keepends=True)
    except FileNotFoundError:
        return []
    logged = [json.loads(line) for line in lines if line.endswith("\n") and line.startswith("{")]
    ends = [
        (datetime.fromisoformat(line["timestamp"]), timedelta(seconds=line["seconds"]))
        for line in logged
        if line["event"] == "cycle.finished"
    ]
    return [(ended - took, ended) for ended, took in ends]


def errors_of(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the error sentences on standard error, without the log lines."""
    return "\n".join(line for line in done.stderr.splitlines() if line.startswith("error: "))


def ends_within(process: Process, seconds: float, number: int) -> int:
    """Send the signal and return the exit code. Fail if the end takes longer than *seconds*."""
    begun = time.monotonic()
    process.send_signal(number)
    code = process.wait(seconds + 15)
    took = time.monotonic() - begun
    assert took < seconds, f"it took {took:.1f} s"
    return code


@contextlib.contextmanager
def daemon_running(installation: Installation) -> Iterator[Process]:
    """Run the daemon for the time of a block. Fail if its log holds a traceback."""
    with running(installation, "run") as process:
        yield process
    assert "Traceback" not in stderr_of(installation)


def run_all(installation: Installation, *commands: tuple[str, ...]) -> list[str]:
    """Run these commands, and return what each wrote to standard output and to standard error."""
    said = []
    for command in commands:
        done = installation.run(*command)
        said += [done.stdout, done.stderr]
    return said
