"""The files of deploy/ as the programs read them that run them, and the tools that judge them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox import Sandbox

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
PROGRAM = Path(sys.executable).with_name("gladly-segment")

# Look beside the interpreter first: the linters are among the development dependencies.
PATH = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"


def tool(name: str) -> str:
    """Return where a tool is. Skip the test, with that as the reason, if the tool is not installed."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run_tool(name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a tool to its end."""
    return subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=60)


class Unit(NamedTuple):
    """The assignments of a systemd unit, in order."""

    assignments: list[tuple[str, str]]

    def all(self, key: str) -> list[str]:
        """Return every value given to a key."""
        return [value for name, value in self.assignments if name == key]

    def one(self, key: str) -> str:
        """Return the value of a key that is given once."""
        (value,) = self.all(key)
        return value

    def environment(self, **specifiers: str) -> dict[str, str]:
        """Return the variables that the unit sets, with specifiers (`d` is %d) filled in."""
        text = "\n".join(self.all("Environment"))
        for letter, value in specifiers.items():
            text = text.replace(f"%{letter}", value)
        return dict(line.split("=", 1) for line in text.splitlines())


def read_unit(path: Path) -> Unit:
    """Read a unit. Ours have no continued lines, which this function does not know."""
    return Unit([(key, value) for key, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE)])


def installed(directory: Path, sandbox: Sandbox) -> Path:
    """
    Put below *directory* what docs/deploying.md puts into /etc/gladly-segment and /var/lib/gladly-segment,
    set up against *sandbox*. Return the config file.
    """
    etc, var = directory / "etc", directory / "var"
    (etc / "credentials").mkdir(parents=True)
    var.mkdir()
    for name, secret in (
        ("gladly-api-token", sandbox.gladly.api_token),
        ("segment-write-key", sandbox.segment.write_key),
    ):
        (etc / "credentials" / name).write_text(secret + "\n")
        (etc / "credentials" / name).chmod(0o600)
    text = (DEPLOY / "sandbox.toml").read_text()
    for there, here in (
        ("http://127.0.0.1:8410", sandbox.gladly_url),
        ("http://127.0.0.1:8411", sandbox.segment_url),
        ("/var/lib/gladly-segment", str(var)),
        ('"5s"', '"1s"\nstart = "10m"'),
    ):
        assert there in text
        text = text.replace(there, here)
    (etc / "config.toml").write_text(text)
    return etc / "config.toml"
