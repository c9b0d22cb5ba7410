"""What `check` does to the state file: nothing."""

import sqlite3
from contextlib import closing, nullcontext

import pytest

from state.instants import utc_now
from state.records import TakenIn
from state.schema.version import CURRENT
from state.store import Store
from support.state_samples import NEXT_RELEASE
from sync.runtime.checks import run_checks
from sync.settings.loading import load


@pytest.fixture
def check(installation, monkeypatch):
    """Run all checks of a release that knows *schema*, and return what was found of the state file."""
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation.directory)
    return lambda schema=CURRENT: dict(run_checks(lambda: load(None), schema))["state file"]


@pytest.mark.parametrize("is_running", [False, True], ids=["alone", "beside a daemon"])
def test_a_check_leaves_an_older_file_as_it_is(check, installation, is_running):
    """It says that the next cycle will migrate the file; until then the older release goes on with it."""
    Store(installation.state_path).close()
    before = installation.state_path.read_bytes()
    with Store(installation.state_path) if is_running else nullcontext():
        found = check(NEXT_RELEASE)
    assert f"{installation.state_path.name} is whole" in found
    assert (
        f"has schema version {CURRENT.version}; the next `once`, `run` or `resync` will migrate it to "
        f"{NEXT_RELEASE.version}."
    ) in found
    assert installation.state_path.read_bytes() == before


def test_a_check_says_nothing_of_versions_where_there_is_nothing_to_migrate(check, installation):
    """A file of this release is whole, and that is all."""
    Store(installation.state_path).close()
    assert check().endswith("is whole (no watermark yet)")


def test_a_check_neither_wipes_nor_rebuilds(check, installation):
    """What an interrupted erasure left is still there afterwards, for the next cycle."""
    with Store(installation.state_path) as store:
        store.commit(TakenIn(deletions={"customer": (utc_now(), "customer was deleted")}))
    with closing(sqlite3.connect(installation.state_path)) as somebody, somebody:
        somebody.execute("UPDATE customers SET wiped_at = NULL")
    before = installation.state_path.read_bytes()
    assert "is whole" in check()
    assert installation.state_path.read_bytes() == before
