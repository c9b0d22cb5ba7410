"""There is no room for the state file (faults C6)."""

import time

import pytest

from state.errors import StateWriteError
from state.store import Store
from support.checker import problems
from support.chunks import commits_in, nth_chunk
from support.confinement import in_a_mount_namespace, shell
from support.processes import errors_of, run_under, start_under, stop_process
from support.recovery import assert_nothing_lost, assert_whole
from support.waiting import wait_until
from support.worlds import history, people_writing_in

pytestmark = pytest.mark.long


def test_a_disk_full_at_any_page_undoes_the_whole_transaction(tmp_path):
    """
    Whatever room is left, the transaction is rolled back and the watermark stays. The error names the path
    (faults C6).
    """
    with Store(tmp_path / "state.db") as store:
        for number in range(1, 4):
            store.commit(nth_chunk(number, 10))
        said: list[str] = []
        for room in range(40):
            pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {pages + room}")
            try:
                store.commit(nth_chunk(4, 60))
            except StateWriteError as error:
                said.append(str(error))
            else:
                break
            assert commits_in(store, 10) == 3
        assert len(said) > 10
        assert set(said) == {
            f"{store.path} could not be written (database or disk is full). Nothing is lost and the watermark"
            " has not moved: free space on that disk, and the next cycle carries on."
        }
        assert store.watermark() == nth_chunk(4).position


@pytest.mark.parametrize("blocks", [8, 150])
def test_a_file_that_may_not_grow_stops_a_cycle_and_loses_nothing(installation, blocks):
    """
    The cycle ends with exit 1 and a sentence that names the file, or is not disturbed at all. The next cycle
    goes on (faults C6).
    """
    history(installation.sandbox)
    people_writing_in(installation.sandbox, 60)
    installation.settings["COVERAGE_PROCESS_CONFIG"] = ""  # the coverage measurement writes files too
    done = run_under(installation, shell(f"ulimit -f {blocks}"), "once")
    if done.returncode:
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        assert installation.state_path.name in errors_of(done)
        assert "could not be written" in errors_of(done)
    assert_nothing_lost(installation)
    assert blocks > 8 or done.returncode == 1


def test_a_full_volume_stops_a_cycle_and_room_lets_it_carry_on(installation):
    """The state file has its own volume, which is filled to the last block between two cycles (faults C6)."""
    prefix = in_a_mount_namespace()
    history(installation.sandbox)
    (installation.directory / "volume").mkdir()
    installation.settings["GLADLY_SEGMENT_STATE__PATH"] = "volume/gladly-segment.db"
    script = """
        mount -t tmpfs -o size=2m tmpfs volume || exit 8
        "$@" once 2> first.txt || exit 9
        dd if=/dev/zero of=volume/filler bs=4k 2> dd.txt
        touch more; while test -e more; do sleep 0.02; done
        "$@" once 2> full.txt; test $? = 1 || exit 10
        rm volume/filler
        "$@" once 2> again.txt || exit 11
        cp volume/* .
    """
    process = start_under(installation, [*prefix, "sh", "-c", script, "sh"])
    try:
        wait_until(lambda: (installation.directory / "more").exists() or process.poll() is not None)
        people_writing_in(installation.sandbox, 20, seconds_ago=30)
        (installation.directory / "more").unlink()
        process.communicate(timeout=60)
    finally:
        stop_process(process)
    said = {file.stem: file.read_text() for file in installation.directory.glob("*.txt")}
    assert process.returncode == 0, said
    assert "volume/gladly-segment.db could not be written" in said["full"]
    assert "free space on that disk" in said["full"]
    assert problems(installation.sandbox) == []
    assert_whole(installation)


def test_a_daemon_on_a_full_disk_stays_and_recovers(installation):
    """The daemon says what is wrong and goes on polling. It catches up once there is room (faults C6)."""
    prefix = in_a_mount_namespace()
    (installation.directory / "volume").mkdir()
    installation.settings |= {
        "GLADLY_SEGMENT_STATE__PATH": "volume/gladly-segment.db",
        "GLADLY_SEGMENT_SYNC__EVERY": "0.3s",
    }
    script = """
        mount -t tmpfs -o size=2m tmpfs volume || exit 8
        (
            until grep -q cycle.finished run.txt; do sleep 0.02; done
            dd if=/dev/zero of=volume/filler bs=4k 2> dd.txt
            touch full; while test -e full; do sleep 0.02; done
            rm volume/filler
        ) &
        exec "$@" run 2> run.txt
    """
    process = start_under(installation, [*prefix, "sh", "-c", script, "sh"])
    log = installation.directory / "run.txt"
    try:
        wait_until(lambda: (installation.directory / "full").exists() or process.poll() is not None)
        history(installation.sandbox, seconds_ago=45)
        wait_until(lambda: log.exists() and "could not be written" in log.read_text())
        time.sleep(0.7)
        assert process.poll() is None
        assert len(installation.sandbox.inbox) == 0
        (installation.directory / "full").unlink()
        wait_until(lambda: problems(installation.sandbox) == [])
        process.terminate()
        assert process.wait(10) == 0
    finally:
        stop_process(process)
    assert "Traceback" not in log.read_text()
