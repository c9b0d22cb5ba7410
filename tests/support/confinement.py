"""Prefixes that run a command with less than it would have: limits, file modes, mounts."""

import os
import shutil
import subprocess

import pytest


def shell(before: str) -> list[str]:
    """Return a prefix that lets a shell do something first (`ulimit -n 12`, `umask 022`)."""
    return ["sh", "-c", f'{before} && exec "$@"', "sh"]


def plain_user() -> list[str]:
    """Return a prefix under which file modes hold for root too. It is empty for other users."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root passes every file mode, and there is no setpriv to give that up")
    less = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"]


def in_a_mount_namespace() -> list[str]:
    """
    Return a prefix that gives a command its own mounts. Skip the test where the kernel does not grant them.
    """
    prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    probe = [*prefix, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("this kernel grants no user and mount namespace")
    return prefix
