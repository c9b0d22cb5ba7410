"""The state file cannot be written where it should be (faults C8)."""

import pytest

from state.store import Store
from support.confinement import plain_user
from support.processes import errors_of, run_under

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        pytest.param("read-only file", "cannot be written by this user", id="a read-only file"),
        pytest.param("read-only directory", "cannot be written", id="a read-only directory"),
        pytest.param("missing/state.db", "that its directory exists", id="a directory that does not exist"),
        pytest.param("folder", "is a directory", id="a directory in its place"),
        pytest.param(".", "is a directory", id="the working directory in its place"),
    ],
)
def test_an_unusable_place_is_reported_before_any_request(installation, where, sentence):
    """The command ends with exit 2 and says what to correct. It makes no request (faults C8)."""
    prefix = plain_user()
    directory = installation.directory
    (directory / "folder").mkdir()
    if "only" in where:
        (directory / "place").mkdir()
        Store(directory / "place" / "state.db").close()
        (directory / "place" / "state.db.lock").chmod(0o600)
        where, is_file = "place/state.db", "file" in where
        (directory / "place" / "state.db" if is_file else directory / "place").chmod(
            0o400 if is_file else 0o500
        )
        if not is_file:
            (directory / "place" / "state.db.lock").chmod(0o400)
    installation.settings["GLADLY_SEGMENT_STATE__PATH"] = where
    try:
        done = run_under(installation, prefix, "run" if where == "folder" else "once")
    finally:
        if (directory / "place").exists():
            (directory / "place").chmod(0o700)
    assert done.returncode == 2, done.stderr
    assert sentence in errors_of(done)
    assert installation.sandbox.gladly_requests == []
    assert installation.sandbox.segment_requests == []
