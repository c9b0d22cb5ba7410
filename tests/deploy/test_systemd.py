"""systemd judges the unit. The unit's command is run with what the unit gives it."""

import fcntl
import re
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support.deployment import DEPLOY, PATH, PROGRAM, PROJECT, installed, read_unit, run_tool

UNIT = DEPLOY / "systemd" / "gladly-segment.service"
EXECUTABLE = "/opt/gladly-segment/bin/gladly-segment"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the unit that names the program installed here."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(EXECUTABLE, str(PROGRAM)))
    return copy


@pytest.fixture
def as_a_service(tmp_path, sandbox):
    """
    Start the program as the unit does, with its command, its environment, and credentials in files. It gets
    nothing else.
    """
    processes = []
    config = installed(tmp_path, sandbox)
    # As LoadCredential does: copy the files, which belong to root, into a separate directory.
    credentials = tmp_path / "run-credentials"
    (config.parent / "credentials").rename(credentials)

    def start(**variables: str) -> "subprocess.Popen[str]":
        unit = read_unit(UNIT)
        command = unit.one("ExecStart").replace(EXECUTABLE, str(PROGRAM))
        process = subprocess.Popen(
            shlex.split(command.replace("/etc/gladly-segment/config.toml", str(config))),
            env={"PATH": PATH, **unit.environment(d=str(credentials)), **variables},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_systemd_understands_it(copied):
    """`systemd-analyze verify` finds nothing wrong. It does find a key that does not exist."""
    good = run_tool("systemd-analyze", "verify", copied)
    assert (good.returncode, good.stdout + good.stderr) == (0, "")
    copied.write_text(copied.read_text().replace("WatchdogSec=", "WatchDogSeconds="))
    assert "WatchDogSeconds" in run_tool("systemd-analyze", "verify", copied).stderr


def test_it_may_do_as_little_as_the_docs_say(copied):
    """systemd finds the exposure that docs/deploying.md states, which is at most 1.5 of 10."""
    stated = re.search(r"rates that ([\d.]+) of 10", (PROJECT / "docs" / "deploying.md").read_text())[1]
    found = run_tool(
        "systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(copied)
    )
    assert found.returncode == 0, found.stdout
    measured = re.search(r"exposure level for \S+: ([\d.]+)", found.stdout)[1]
    assert float(measured) == pytest.approx(float(stated), abs=0.2)


def test_the_credentials_are_what_the_settings_name():
    """
    Each credential that the unit loads is the file that a setting names, and comes from where the config file
    has it.
    """
    unit = read_unit(UNIT)
    loaded = dict(value.split(":", 1) for value in unit.all("LoadCredential"))
    assert {value.removeprefix("/c/") for value in unit.environment(d="/c").values()} == set(loaded)
    config = (DEPLOY / "config.toml").read_text()
    for name, path in loaded.items():
        assert path == f"/etc/gladly-segment/credentials/{name}"
        assert f'"credentials/{name}"' in config


def test_its_command_becomes_ready_delivers_and_ends_in_time(as_a_service, tmp_path, sandbox):
    """
    With what the unit gives it, the daemon reports READY, delivers an event, feeds the watchdog, and ends
    with 0.
    """
    unit = read_unit(UNIT)
    assert (unit.one("Type"), unit.one("NotifyAccess")) == ("notify", "main")
    customer = sandbox.world.add_customer("Zoë Quinn", emails=[{"normalized": "zoe@example.com"}])
    sandbox.world.open_conversation(customer)
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        process = as_a_service(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")
        while not (sandbox.inbox.received and {"READY=1", "WATCHDOG=1"} <= set(heard)):
            heard.append(systemd.recv(4096).decode())
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(timeout=int(unit.one("TimeoutStopSec").removesuffix("s"))) == 0
        assert time.monotonic() - began < 10
        while heard[-1] != "STOPPING=1":
            heard.append(systemd.recv(4096).decode())
    assert sandbox.gladly.api_token.encode() not in environment
    assert sandbox.segment.write_key.encode() not in environment
    assert len(sandbox.inbox.received) == 1


def test_wrong_settings_are_not_tried_again(as_a_service):
    """The unit does not restart the daemon after exit 2, which a person has to correct."""
    process = as_a_service(GLADLY_SEGMENT_SYNC__EVERY="5 parsecs")
    _, err = process.communicate(timeout=20)
    assert str(process.returncode) in read_unit(UNIT).one("RestartPreventExitStatus").split()
    assert "GLADLY_SEGMENT_SYNC__EVERY" in err


def test_a_held_state_file_is_tried_again(as_a_service, tmp_path):
    """Exit 4 passes by itself, so the unit tries again."""
    with (tmp_path / "var" / "gladly-segment.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = as_a_service()
        process.communicate(timeout=20)
    unit = read_unit(UNIT)
    assert process.returncode == 4
    assert unit.one("Restart") == "on-failure"
    assert "4" not in unit.one("RestartPreventExitStatus").split()
    assert unit.one("StartLimitIntervalSec") == "0"
