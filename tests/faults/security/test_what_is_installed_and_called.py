"""What is installed, and what the program connects to (faults G6)."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from support.checker import problems
from support.worlds import history

pytestmark = pytest.mark.long


ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("lock", ["run.lock", "dev.lock"])
def test_every_pinned_package_has_hashes_and_no_address(lock):
    """
    `pip install --require-hashes` refuses a package that was changed, whichever index is configured
    (faults G6).
    """
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    entries = re.split(r"\n(?=\S)", lines.replace("\\\n", " ").strip())
    for entry in entries:
        assert re.match(r"[a-z0-9][a-z0-9.-]*(\[[a-z,-]+\])?==\S+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert len(entries) > 10
    assert not re.search(r"://|--index-url|--extra-index-url|--find-links|--trusted-host| @ ", lines)
    assert "--require-hashes" in (ROOT / "Makefile").read_text("utf-8")


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize(("package", "floor"), [("requests", "2.33"), ("urllib3", "2.7")])
def test_no_release_with_a_known_hole_is_accepted(package, floor):
    """
    The releases asked for, pinned and installed are not older than the first one without the hole
    (faults G6).
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = next(line for line in project["dependencies"] if re.match(rf"{package}\b", line))
    assert _numbers(asked.partition(">=")[2]) >= _numbers(floor)
    for lock in ("run.lock", "dev.lock"):
        text = (ROOT / "requirements" / lock).read_text("utf-8")
        found = re.search(rf"^{package}==(\S+)", text, re.M)
        assert found or lock == "dev.lock", lock
        if found:
            assert _numbers(found[1]) >= _numbers(floor)
    assert _numbers(version(package)) >= _numbers(floor)


_WITNESS = """
import os, sys

def witness(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["WITNESS"], "a") as file:
            file.write(f"{event} {arguments[1] if event != 'socket.getaddrinfo' else arguments[:2]}\\n")

sys.addaudithook(witness)
"""


def test_nobody_but_the_two_ends_is_called(installation):
    """
    There is no telemetry and no update check. The program connects to the two configured addresses only
    (faults G6).
    """
    history(installation.sandbox)
    (installation.directory / "witness").mkdir()
    (installation.directory / "witness" / "sitecustomize.py").write_text(_WITNESS)
    installation.settings |= {
        "PYTHONPATH": str(installation.directory / "witness"),
        "WITNESS": str(installation.directory / "witness.txt"),
    }
    for command in (("once",), ("check",), ("status",), ("events",), ("once", "--dry-run")):
        assert installation.run(*command).returncode == 0
    seen = (installation.directory / "witness.txt").read_text().splitlines()
    ports = [
        url.rpartition(":")[2] for url in (installation.sandbox.gladly_url, installation.sandbox.segment_url)
    ]
    allowed = {f"socket.connect ('127.0.0.1', {port})" for port in ports}
    allowed |= {f"socket.getaddrinfo ('127.0.0.1', {port})" for port in ports}
    assert {line for line in seen if line.startswith("socket.connect")} <= allowed
    assert set(seen) <= allowed
    assert len(seen) >= 2
    assert problems(installation.sandbox) == []
