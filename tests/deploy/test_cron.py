"""cron judges the line for cron, and the shell that the line names runs it."""

import fcntl
import os
import re
import subprocess

import pytest
from apscheduler.triggers.cron import CronTrigger

from sandbox import Fault
from support.deployment import DEPLOY, PROGRAM, installed, run_tool, tool

LINES = [
    line
    for line in (DEPLOY / "cron" / "gladly-segment.cron").read_text().splitlines()
    if line and not line.startswith("#")
]
VARIABLES = dict(line.split("=", 1) for line in LINES[:-1])
*TIMES, USER, COMMAND = LINES[-1].split(maxsplit=6)


@pytest.fixture
def cron_job(tmp_path, sandbox):
    """Run the job as cron does, with the file's variables and no others, its shell and its command."""
    tool("flock"), tool("logger")
    config = installed(tmp_path, sandbox)
    command = COMMAND.replace("/var/lib/gladly-segment", str(tmp_path / "var"))
    variables = VARIABLES | {
        "GLADLY_SEGMENT_CONFIG": str(config),
        "PATH": f"{PROGRAM.parent}{os.pathsep}{VARIABLES['PATH']}",
    }

    def run() -> str:
        ended = subprocess.run(
            [VARIABLES["SHELL"], "-c", command],
            env=variables,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        return ended.stdout + ended.stderr  # cron mails it

    return run


def test_cron_understands_it(tmp_path):
    """`crontab` accepts the file in a dry run. It refuses the file with a wrong minute."""
    tool("crontab")
    trying = "-T" if " -T " in run_tool("crontab", "-T").stderr.replace("]", " ") else "-n"
    path = tmp_path / "gladly-segment"
    path.write_text("\n".join(LINES) + "\n")
    good = run_tool("crontab", trying, path)
    assert good.returncode == 0, good.stderr
    path.write_text("\n".join(LINES).replace("* * * * *", "61 * * * *") + "\n")
    assert run_tool("crontab", trying, path).returncode == 1


def test_its_line_is_one_of_cron_d():
    """
    The line has five fields, the user of docs/deploying.md, and no %, which cron would take for a line break.
    """
    CronTrigger.from_crontab(" ".join(TIMES))
    assert USER == "gladly-segment"
    assert "%" not in COMMAND


def test_a_good_cycle_is_silent(cron_job, sandbox):
    """The cycle delivers, and nothing is mailed."""
    customer = sandbox.world.add_customer("Zoë Quinn", emails=[{"normalized": "zoe@example.com"}])
    sandbox.world.open_conversation(customer)
    assert cron_job() == ""
    assert len(sandbox.inbox.received) == 1


def test_a_refused_token_is_said_with_its_exit_code(cron_job, sandbox):
    """A person reads what is wrong, and the exit code 3 that the README explains."""
    sandbox.faults.add("gladly", "*", Fault(status=401, times=None))
    said = cron_job()
    assert re.search(r"gladly-segment: error: .*API token", said)
    assert "gladly-segment once: exit code 3" in said
    assert "Traceback" not in said


def test_a_cycle_that_lasts_is_not_met_by_a_second(cron_job, tmp_path, sandbox):
    """While another process holds cron's lock, the job does nothing and says nothing."""
    with (tmp_path / "var" / "cron.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cron_job() == ""
    assert not (tmp_path / "var" / "gladly-segment.db").exists()
