"""Only the owner may read what the program writes (faults C14)."""

import signal
import stat

import pytest

from support.confinement import shell
from support.processes import FAILPOINT, run_under
from support.worlds import history

pytestmark = pytest.mark.long


def test_what_the_program_writes_is_for_its_owner_alone(installation):
    """
    The umask is 022, and then the files are readable by all, as a restored copy may be. The state file and
    the files beside it get mode 0600 (faults C14).
    """
    history(installation.sandbox)
    installation.settings[FAILPOINT] = "cycle.end"
    for _ in range(2):
        done = run_under(installation, shell("umask 022"), "once")
        assert done.returncode == -signal.SIGKILL
        modes = {
            file.name.removeprefix(installation.state_path.name): stat.S_IMODE(file.stat().st_mode)
            for file in installation.directory.iterdir()
        }
        assert modes == dict.fromkeys(modes, 0o600)
        assert {"", "-wal", "-shm", ".lock"} <= modes.keys()
        for suffix in ("", "-wal", "-shm"):
            (installation.directory / f"{installation.state_path.name}{suffix}").chmod(0o644)
