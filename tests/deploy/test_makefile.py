"""The Makefile: an environment on a machine as it comes, and what it says where something is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Debian's python3 without python3-venv: no ensurepip, and a venv that ends in the middle.
WITHOUT_VENV = """\
#!/bin/sh
case "$*" in
  *ensurepip*) exec {python} -c 'import sys; sys.modules["ensurepip"] = None; exec(sys.argv[1])' "$2" ;;
  *venv*) mkdir -p .venv/bin; ln -s {python} .venv/bin/python; exit 1 ;;
esac
exec {python} "$@"
"""


@pytest.fixture
def clone(tmp_path):
    """A directory with the Makefile alone."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def make(directory, *arguments):
    """Run make as a person does, and not as a part of this one."""
    return subprocess.run(
        ["make", *arguments],
        cwd=directory,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def python_without_venv(tmp_path):
    """A Python as Debian installs it without python3-venv."""
    program = tmp_path / "debians-python"
    program.write_text(WITHOUT_VENV.format(python=sys.executable))
    program.chmod(0o755)
    return program


def test_a_python_without_venv_is_said_with_the_package_to_install(clone, python_without_venv):
    """Nothing half-made is left behind."""
    done = make(clone, ".venv/bin/pip", f"PYTHON={python_without_venv}")
    assert done.returncode != 0
    version = "python{}.{}-venv".format(*sys.version_info[:2])
    assert f"sudo apt-get install {version}" in done.stderr
    assert not (clone / ".venv").exists()


def test_an_environment_that_was_left_half_made_is_made_anew(clone):
    """As one of an earlier try without python3-venv: it has a Python and no pip."""
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").write_text("")
    done = make(clone, ".venv/bin/pip", f"PYTHON={sys.executable}")
    assert (done.returncode, done.stderr) == (0, "")
    subprocess.run([clone / ".venv/bin/python", "-m", "pip", "--version"], check=True, capture_output=True)


def test_a_python_that_is_not_there_is_said(clone):
    """With the way to name another."""
    done = make(clone, ".venv/bin/pip", "PYTHON=python2.99")
    assert done.returncode != 0
    assert "There is no python2.99." in done.stderr
    assert "make PYTHON=" in done.stderr


def test_help_lists_every_target(clone):
    """The first thing that a person types."""
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    said = make(clone).stdout
    assert [name for name in phony.split()[1:] if name != "help" and f"make {name} " not in said] == []
