"""The state file is put back from a copy. What goes out again may be a duplicate, and says so."""

import shutil
from datetime import timedelta

import pytest

from state.instants import utc_now
from state.locks import MAIN, take_role
from state.store import Store
from support.checker import problems, sent_twice
from support.state_samples import query
from support.worlds import busy_minutes, history

MARK = "may be a duplicate: the state file was put back from a copy"


def parts(path):
    """Return the files of a state file that is closed."""
    return [file for file in path.parent.glob(path.name + "*") if file.is_file()]


def copied_over(path, kept):
    """Copy the content back into the file that is there, as `cp` does."""
    shutil.copyfile(kept / path.name, path)


def moved_into_place(path, kept):
    """Put the copy in the file's place, as `mv` does."""
    shutil.copy(kept / path.name, path.with_name("new"))
    path.with_name("new").rename(path)


def on_another_machine(path, kept):
    """Put the copy where there has never been a state file, and so no lock file either."""
    for file in parts(path):
        file.unlink()
    shutil.copy(kept / path.name, path)


def on_another_machine_and_checked(path, kept):
    """Look at the copy with `check` before the first cycle. That makes a lock file, which notes nothing."""
    on_another_machine(path, kept)
    take_role(path, MAIN).close()


def with_the_whole_directory(path, kept):
    """Put the whole directory back, with the lock files as they were then."""
    old = parts(path)
    for file in old:
        file.rename(file.with_name("old-" + file.name))  # the copy gets other inodes
    for file in kept.iterdir():
        shutil.copy(file, path.parent / file.name)


@pytest.fixture
def program(begin, sandbox, tmp_path):
    """A sync that stood 23 hours back when it was copied, and has gone on since."""
    program = begin()
    program.store.reset_watermark(utc_now() - timedelta(hours=23))
    program.restart()
    program.close()
    (tmp_path / "kept").mkdir()
    for file in parts(program.path):
        shutil.copy(file, tmp_path / "kept" / file.name)
    history(sandbox, seconds_ago=22 * 3_600)
    busy_minutes(sandbox, 3)
    program.restart()
    assert program.run().errors == []
    assert {e["reason"] for e in program.events(status="delivered")} == {None}
    return program


@pytest.mark.parametrize(
    "put_back",
    [
        copied_over,
        moved_into_place,
        on_another_machine,
        on_another_machine_and_checked,
        with_the_whole_directory,
    ],
)
def test_what_goes_out_again_after_a_day_is_marked(program, sandbox, tmp_path, put_back):
    """Segment drops repeats for about a day, so only older ones may be duplicates (faults H1.20)."""
    program.close()
    put_back(program.path, tmp_path / "kept")
    program.restart()
    assert program.run().errors == []
    delivered = program.events(status="delivered")
    assert len(sent_twice(sandbox.inbox)) == len(delivered)
    for event in delivered:
        is_old = event["occurred_at"] < f"{utc_now() - timedelta(hours=20):%Y-%m-%dT%H:%M}"
        assert event["reason"] == (MARK if is_old else None)
    assert {event["reason"] for event in delivered} == {MARK, None}
    assert len(query(program.path, "SELECT * FROM restores")) == 1
    assert problems(sandbox) == []


def test_what_is_new_after_the_file_was_put_back_is_not_marked(program, sandbox, tmp_path):
    """What happens from then on cannot have been sent before (faults H1.20)."""
    program.close()
    copied_over(program.path, tmp_path / "kept")
    program.restart()
    program.run()
    known = {event["message_id"] for event in program.events()}
    history(sandbox, seconds_ago=45)
    program.restart()
    program.run()
    new = [event for event in program.events(status="delivered") if event["message_id"] not in known]
    assert {event["reason"] for event in new} == {None}
    assert len(query(program.path, "SELECT * FROM restores")) == 1


@pytest.mark.parametrize("how", ["restart", "reset"])
def test_an_outage_is_no_copy_put_back(program, sandbox, how):
    """A file that was always here is not taken for a copy, and nothing of it is marked (faults H1.20)."""
    if how == "reset":
        program.store.reset_watermark(utc_now() - timedelta(hours=22, minutes=30))
    program.restart()
    history(sandbox, seconds_ago=21 * 3_600)
    program.run()
    assert query(program.path, "SELECT * FROM restores") == []
    assert {event["reason"] for event in program.events(status="delivered")} == {None}


def test_a_file_of_an_older_release_is_no_copy_put_back(program):
    """Its lock file holds a process id alone (faults H1.20)."""
    program.close()
    program.path.with_name(program.path.name + ".lock").write_text("4711\n")
    program.restart()
    program.run()
    assert query(program.path, "SELECT * FROM restores") == []


def test_a_new_file_is_no_copy_put_back(tmp_path):
    """The process that commits the first watermark may be killed before it notes it (faults H1.20)."""
    path = tmp_path / "new.db"
    lock = path.with_name("new.db.lock")
    with Store(path) as store:
        assert not store.restores.note_if_put_back(utc_now())
        noted = lock.read_text()
        store.reset_watermark(utc_now())
    lock.write_text(noted)
    with Store(path) as store:
        assert not store.restores.note_if_put_back(utc_now())
    assert query(path, "SELECT * FROM restores") == []
