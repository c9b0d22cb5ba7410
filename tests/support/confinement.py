"""Prefixes that run a command with less than it would have: limits, file modes, mounts, name servers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


# Brings up the loopback device, listens where a name server would, and never answers.
_SILENT_NAME_SERVER = """
import fcntl, os, socket, struct, subprocess, sys
resolv_conf, *command = sys.argv[1:]
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
up = struct.pack("16sh14x", b"lo", 1)
fcntl.ioctl(server, 0x8914, up)
server.bind(("0.0.0.0", 53))
server.set_inheritable(True)
subprocess.run(["mount", "--bind", resolv_conf, os.path.realpath("/etc/resolv.conf")], check=True)
os.execvp(command[0], command)
"""


def with_a_silent_name_server(directory: Path) -> list[str]:
    """
    Return a prefix that runs a command where three name servers never answer, and no host can be reached.

    Skip the test where the kernel does not grant that.
    """
    resolv_conf = directory / "resolv.conf"
    resolv_conf.write_text("nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n")
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
    prefix += [sys.executable, "-c", _SILENT_NAME_SERVER, str(resolv_conf)]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("this kernel grants no user, mount and network namespace")
    return prefix
