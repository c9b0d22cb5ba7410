"""What can befall the state file (faults C): kills, power cuts, full disks, damage, company."""

import ast
import contextlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_utils import Database

from sandbox import Fault, Sandbox
from state import NewerSchemaError, Reader, StateFileError, StateLockedError, StateWriteError, Store
from state.failpoints import NAMES
from state.instants import from_text
from state.schema import migrations
from state.schema_version import APPLICATION_ID, SCHEMA_VERSION
from support.checker import problems
from support.installation import Installation
from support.processes import (
    FAILPOINT,
    assert_nothing_lost,
    assert_whole,
    commits_in,
    cycles_of,
    end,
    history,
    in_a_mount_namespace,
    nth_chunk,
    people_writing_in,
    plain_user,
    rows,
    run_under,
    running,
    say,
    settle,
    shell,
    start_under,
    stderr_of,
    wait_until,
)

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]

# The suite kills this often at random moments; GLADLY_SEGMENT_KILLS=200 is the long run.
KILLS = int(os.environ.get("GLADLY_SEGMENT_KILLS", "25"))


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A world whose time goes on as ours does: what runs here are processes."""
    with Sandbox(lateness_s=0, requests_per_second=None) as running_world:
        yield running_world


# Row C1, SIGKILL


@pytest.mark.parametrize("name", NAMES)
def test_c1_a_kill_at_any_point_of_a_first_cycle_loses_nothing(installation, name):
    """
    Every point is passed by a first cycle; before the commit nothing of it is there, after it everything;
    only a kill between Segment's answer and the note of it sends twice, the same bytes under the same ids.
    """
    history(installation.sandbox)
    installation.settings[FAILPOINT] = name
    assert installation.run("once").returncode == -signal.SIGKILL
    del installation.settings[FAILPOINT]
    is_committed = NAMES.index(name) >= NAMES.index("transaction.committed")
    assert bool(installation.events()) == is_committed
    assert bool(rows(installation.state_path, "PRAGMA user_version")[0][0]) == (
        not name.startswith("migrate.")
    )
    assert_nothing_lost(installation)
    assert bool(installation.sandbox.inbox.repeats) == (name == "segment.answer")


def test_c1_no_point_is_passed_that_the_list_does_not_name():
    """The names in the code and those in `failpoints.NAMES` are the same."""
    ends = {"gladly", "segment"}
    used: set[str] = set()
    for file in itertools.chain((ROOT / "state").rglob("*.py"), (ROOT / "sync").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                (argument,) = node.args
                if isinstance(argument, ast.Constant):
                    used.add(argument.value)
                else:  # f"{self.name.lower()}.request": one for each end
                    assert isinstance(argument, ast.JoinedStr)
                    assert isinstance(argument.values[-1], ast.Constant)
                    used |= {side + argument.values[-1].value for side in ends}
    assert used == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


LATER = [
    "gladly.request:9",
    "gladly.answer:7",
    "take_in.seen:2",
    "take_in.events:2",
    "take_in.watermark:3",
    "transaction.commit:5",
    "transaction.committed:5",
    "segment.request:3",
    "segment.answer:2",
    "poll.record:4",
    "cycle.end:4",
]


def test_c1_kills_at_later_passes_of_a_running_daemon_lose_nothing(tmp_path):
    """A daemon in a lively world is killed at one point after another, each time by the next one's start."""
    with Sandbox(seed=3, tempo=10, pace=10, lateness_s=5, requests_per_second=None) as sandbox:
        installation = Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "1h", "GLADLY_SEGMENT_SYNC__EVERY": "0.1s"}
        )
        for point in LATER:
            installation.settings[FAILPOINT] = point
            killed = installation.run("run", timeout=30)
            assert (point, killed.returncode) == (point, -signal.SIGKILL), killed.stderr
            assert_whole(installation)
        del installation.settings[FAILPOINT]
        until = sandbox.clock.now()
        time.sleep(0.6)  # the feed is 5 world seconds late
        assert_nothing_lost(installation, until=until)
    assert len(sandbox.inbox) > 20


# Every poll a long one: a chunk is two transitions, and leaves while the next is fetched.
_BESIDE = """
from functools import partial
from sync.gladly.limits import GladlyLimits
from sync.pipeline.delivery import DeliveryTiming
from sync.runtime import build
delivery = DeliveryTiming(part_batch_after_s=0.0)
tuning = build.Tuning(delivery=delivery, gladly=GladlyLimits(chunk_transitions=2))
build.build_pipeline = partial(build.build_pipeline, tuning=tuning)
from sync.cli.main import main
main()
"""


@pytest.mark.timeout(60 + 3 * KILLS)
def test_c1_kills_at_random_moments_lose_nothing(tmp_path):
    """
    Cycles and daemons killed at arbitrary instants while the world goes on: in the end Segment has exactly
    the world's history, each messageId with one content.
    """
    moments = random.Random(KILLS)
    kills = 0
    with Sandbox(seed=7, tempo=3, pace=10, lateness_s=15, requests_per_second=None) as sandbox:
        installation = Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "1h", "GLADLY_SEGMENT_SYNC__EVERY": "0.05s"}
        )
        while kills < KILLS:
            command = moments.choice(["once", "run"])
            program = moments.choice([["-m", "sync"], ["-c", _BESIDE]])
            process = installation.start(command, program=program)
            # A start takes about 0.4 s: most kills fall into the cycles after it, some into the start itself.
            spread = (0.05, 0.6) if command == "once" else (0.3, 1.3)
            try:
                process.communicate(timeout=moments.uniform(*spread))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
            else:
                assert process.returncode == 0
        assert_whole(installation)
        until = sandbox.clock.now()
        time.sleep(1.6)  # the feed is 15 world seconds late
        assert_nothing_lost(installation, until=until)
    assert len(sandbox.inbox) > KILLS


# Row C2, power loss


def test_c2_a_log_cut_at_any_byte_or_with_a_flipped_bit_leaves_one_commit_whole(tmp_path):
    """State, outbox and watermark are of the same commit, and the longer the log the later that commit."""
    with Store(tmp_path / "live.db") as store:
        for number in range(1, 11):
            store.take_in(nth_chunk(number))
    with Store(tmp_path / "live.db") as store:
        for number in range(11, 31):
            store.take_in(nth_chunk(number))
        file = (tmp_path / "live.db").read_bytes()
        log = (tmp_path / "live.db-wal").read_bytes()

    def survivors(changed_log: bytes, changed_file: bytes = file) -> int:
        path = tmp_path / "after.db"
        for leftover in tmp_path.glob("after.db*"):
            leftover.unlink()
        path.write_bytes(changed_file)
        (tmp_path / "after.db-wal").write_bytes(changed_log)
        with Store(path) as reopened:
            number = commits_in(reopened)
            reopened.take_in(nth_chunk(number + 1))  # and it carries on
            assert commits_in(reopened) == number + 1
        return number

    page_size = int.from_bytes(log[8:12], "big")
    ends_of_frames = range(32, len(log) + 1, 24 + page_size)
    draw = random.Random(2)
    chosen = sorted(draw.sample(ends_of_frames, 24))
    cuts = {0, 1, 31, 32, *chosen, *(at + 1 for at in chosen[:-1]), *(at - 1 for at in chosen[1:])}
    cuts |= {draw.randrange(len(log)) for _ in range(20)} | {len(log)}
    found = [survivors(log[:at]) for at in sorted(cuts)]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (10, 30)
    assert len(set(found)) > 5

    for at in (draw.randrange(len(log)) for _ in range(25)):
        flipped = bytearray(log)
        flipped[at] ^= 1 << draw.randrange(8)
        assert 10 <= survivors(bytes(flipped)) <= 30

    # The power fails while the log is being copied into the file: any mixture of pages is mended from it.
    with Store(tmp_path / "live.db"):
        copied = (tmp_path / "live.db").read_bytes()
    for _ in range(5):
        mixture = b"".join(
            draw.choice((file[at : at + page_size], copied[at : at + page_size])) or b"\0" * page_size
            for at in range(0, len(copied), page_size)
        )
        assert survivors(log, mixture) == 30


@pytest.mark.parametrize("part_kept", [0.0, 0.5])
def test_c2_what_a_power_cut_undid_is_read_and_sent_again_under_the_same_ids(installation, part_kept):
    """An event may reach Segment twice then, with the same bytes; none is lost."""
    history(installation.sandbox)
    installation.settings[FAILPOINT] = "cycle.end"
    installation.run("once")
    del installation.settings[FAILPOINT]
    log = installation.state_path.with_name(installation.state_path.name + "-wal")
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * part_kept)])
    before = len(installation.sandbox.inbox.attempts)
    assert before > 0
    settle(installation)
    assert installation.sandbox.inbox.repeats.total() == len(installation.sandbox.inbox.attempts) - before
    assert_nothing_lost(installation)


# Row C3, company


def test_c3_a_second_writer_is_turned_away_and_the_first_not_disturbed(installation):
    """Exit 4 and who holds the file; a killed holder holds nothing."""
    history(installation.sandbox)
    with running(installation, "run") as first:
        wait_until(lambda: problems(installation.sandbox) == [])
        wait_until(lambda: installation.events(status="delivered"))
        for command in ("run", "once"):
            second = installation.run(command)
            assert second.returncode == 4
            assert f"is held by process {first.pid}" in say(second)
        assert first.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert installation.run("once").returncode == 0
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


# Row C4, readers


def test_c4_readers_neither_wait_nor_disturb(tmp_path):
    """While one process writes, readers in a loop are never told "locked", and see whole commits only."""
    path, failures, seen = tmp_path / "state.db", [], set()
    with Store(path) as store:
        store.take_in(nth_chunk(1))
        over = threading.Event()

        def read() -> None:
            while not over.is_set():
                try:
                    with Reader(path) as reader:
                        position = reader.watermark()
                        assert position is not None
                        seen.add(reader.event_counts()["pending"])
                        assert reader.quick_check() == "ok"
                except Exception as error:
                    failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in readers:
            thread.start()
        for number in range(2, 120):
            store.take_in(nth_chunk(number))
        over.set()
        for thread in readers:
            thread.join()
        assert failures == []
        assert commits_in(store) == 119
    assert len(seen) > 1


def test_c4_a_reader_never_writes_the_file(tmp_path):
    """Not even to tidy up after a writer that was killed: the log is the writer's to copy."""
    path = tmp_path / "state.db"
    with Store(path) as store:
        store.take_in(nth_chunk(1))
        shutil.copy(path, tmp_path / "copy.db")
        shutil.copy(path.with_name("state.db-wal"), tmp_path / "copy.db-wal")
    before = [(tmp_path / name).read_bytes() for name in ("copy.db", "copy.db-wal")]
    for _ in range(3):
        with Reader(tmp_path / "copy.db") as reader:
            assert reader.event_counts()["pending"] == 1
    assert [(tmp_path / name).read_bytes() for name in ("copy.db", "copy.db-wal")] == before


# Row C5, other people's locks


def test_c5_a_lock_of_another_process_is_waited_for(installation):
    """Someone's transaction in the sqlite3 shell delays a cycle and does not break it."""
    history(installation.sandbox)
    assert installation.run("once").returncode == 0
    people_writing_in(installation.sandbox, 1, seconds_ago=20)
    with contextlib.closing(sqlite3.connect(installation.state_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with running(installation, "once") as waiting:
            time.sleep(1.2)
            assert waiting.poll() is None
            other.execute("ROLLBACK")
            assert waiting.wait(10) == 0
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def test_c5_a_lock_held_too_long_is_an_error_that_passes(tmp_path):
    """The sentence names the file and the way out; nothing is written; the next try succeeds."""
    with (
        Store(tmp_path / "state.db") as store,
        contextlib.closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other,
    ):
        store._connection.execute("PRAGMA busy_timeout = 50")
        store.take_in(nth_chunk(1))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateWriteError, match=r"state\.db was locked by another connection") as raised:
            store.take_in(nth_chunk(2))
        assert "Close what holds a transaction open" in str(raised.value)
        other.execute("ROLLBACK")
        assert commits_in(store) == 1
        store.take_in(nth_chunk(2))
        assert commits_in(store) == 2


def test_c5_every_transaction_takes_the_write_lock_at_its_beginning(tmp_path):
    """A deferred one could find at its first write that what it has read is stale, and fail at once."""
    with Store(tmp_path / "state.db") as store:
        said: list[str] = []
        store._connection.set_trace_callback(said.append)
        store.take_in(nth_chunk(1))
        store.mark_delivered(["message-conversation-1-0"])
        store.retry(None)
        store.reset_watermark(from_text("2026-11-20T08:00:00Z"))
        store.replay(from_text("2026-11-20T08:00:00Z"))
        begins = [statement for statement in said if statement.upper().startswith("BEGIN")]
    assert begins == ["BEGIN IMMEDIATE"] * 5


# Row C6, a full disk


def test_c6_a_disk_full_at_any_page_undoes_the_whole_transaction(tmp_path):
    """However many pages there still is room for: rolled back, the watermark unmoved, the path named."""
    with Store(tmp_path / "state.db") as store:
        for number in range(1, 4):
            store.take_in(nth_chunk(number, 10))
        said: list[str] = []
        for room in range(40):
            pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {pages + room}")
            try:
                store.take_in(nth_chunk(4, 60))
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
def test_c6_a_file_that_may_not_grow_stops_a_cycle_and_loses_nothing(installation, blocks):
    """Exit 1 (or no harm at all), a sentence that names the file, and the next cycle carries on."""
    history(installation.sandbox)
    people_writing_in(installation.sandbox, 60)
    installation.settings["COVERAGE_PROCESS_CONFIG"] = ""  # what measures coverage writes files, too
    done = run_under(installation, shell(f"ulimit -f {blocks}"), "once")
    if done.returncode:
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        assert installation.state_path.name in say(done)
        assert "could not be written" in say(done)
    assert_nothing_lost(installation)
    assert blocks > 8 or done.returncode == 1


def test_c6_a_full_volume_stops_a_cycle_and_room_lets_it_carry_on(installation):
    """On a volume of its own, filled to the last block while the sync stands still."""
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
        end(process)
    said = {file.stem: file.read_text() for file in installation.directory.glob("*.txt")}
    assert process.returncode == 0, said
    assert "volume/gladly-segment.db could not be written" in said["full"]
    assert "free space on that disk" in said["full"]
    assert problems(installation.sandbox) == []
    assert_whole(installation)


def test_c6_a_daemon_on_a_full_disk_stays_and_recovers(installation):
    """It says what is wrong, goes on polling, and catches up once there is room."""
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
        end(process)
    assert "Traceback" not in log.read_text()


# Row C7, no way to say anything, no descriptors


@pytest.mark.parametrize(
    "redirection",
    [
        pytest.param("2> /dev/full", id="the log's disk is full"),
        pytest.param("> /dev/full 2> /dev/full", id="both disks are full"),
        pytest.param("2>&-", id="standard error is closed"),
        pytest.param("<&- >&- 2>&-", id="everything is closed"),
    ],
)
def test_c7_a_log_that_cannot_be_written_stops_no_delivery(installation, redirection):
    """The cycle does its work and ends with 0."""
    history(installation.sandbox)
    done = run_under(installation, ["sh", "-c", f'exec "$@" {redirection}', "sh"], "once")
    assert problems(installation.sandbox) == []
    assert done.returncode == 0
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def test_c7_a_log_whose_reader_has_gone_stops_no_daemon(installation):
    """Whoever read the daemon's output may leave; it goes on, and ends with 0 when asked to."""
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    process = installation.start("run")
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.readline()
        process.stdout.close()
        process.stderr.close()
        history(installation.sandbox, seconds_ago=45)
        wait_until(lambda: problems(installation.sandbox) == [])
        process.terminate()
        assert process.wait(10) == 0
    finally:
        end(process)
    assert_nothing_lost(installation)


@pytest.mark.parametrize("descriptors", [5, 8, 12])
def test_c7_too_few_descriptors_is_an_error_that_passes(installation, descriptors):
    """Whatever cannot be opened: a documented exit code, no traceback, nothing lost."""
    history(installation.sandbox)
    installation.settings["COVERAGE_PROCESS_CONFIG"] = ""  # what measures coverage opens files, too
    done = run_under(installation, shell(f"ulimit -n {descriptors}"), "once")
    assert done.returncode in (0, 1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert bool(say(done)) == bool(done.returncode)
    assert_nothing_lost(installation)


# Row C8, a place that cannot be written


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
def test_c8_an_unusable_place_is_told_before_any_call(installation, where, sentence):
    """Exit 2 and what to mend, without a request to anyone."""
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
    assert sentence in say(done)
    assert installation.sandbox.gladly_requests == []
    assert installation.sandbox.segment_requests == []


# Row C9, damage


def _bytes_of(installation: Installation) -> dict[str, bytes]:
    files = installation.directory.glob(installation.state_path.name + "*")
    held = {file.name: file.read_bytes() for file in files if not file.name.endswith((".lock", "-shm"))}
    return {name: content for name, content in held.items() if content}  # a reader leaves an empty log


def _damaged(installation: Installation, offset: int, garbage: bytes) -> dict[str, bytes]:
    with installation.state_path.open("r+b") as file:
        file.seek(offset)
        file.write(garbage)
    return _bytes_of(installation)


@pytest.fixture
def filled(installation):
    """An installation with a state file of some hundred pages."""
    with Store(installation.state_path) as store:
        for number in range(1, 30):
            chunk = nth_chunk(number, 20)
            chunk.position = None
            store.take_in(chunk)
            store.mark_delivered([event.message_id for event in chunk.events])
    return installation


@pytest.mark.parametrize("command", ["once", "run", "check", "status"])
def test_c9_garbage_in_the_header_is_refused_untouched(filled, command):
    """Exit 2, the file as it was, byte for byte, and nothing created in its place."""
    before = _damaged(filled, 0, random.Random(9).randbytes(100))
    done = filled.run(command, timeout=20)
    assert done.returncode == 2
    assert f"{filled.state_path.name} is not an SQLite file" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert _bytes_of(filled) == before


@pytest.mark.parametrize("command", ["run", "check"])
def test_c9_overwritten_pages_are_found_at_the_start(filled, command):
    """Before anything is read or sent: exit 2, the file untouched, both ways out named."""
    requests = len(filled.sandbox.gladly_requests)
    middle = filled.state_path.stat().st_size // 2 // 4096 * 4096
    before = _damaged(filled, middle, random.Random(9).randbytes(8 * 4096))
    filled.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "30s"
    with running(filled, command) as process:
        try:
            code = process.wait(8)
        except subprocess.TimeoutExpired:
            pytest.fail(f"`{command}` runs on a damaged file")
        said = stderr_of(filled) + (process.stdout.read() if process.stdout else "")
    assert code == 2
    assert "is damaged" in said
    assert "Restore it from a copy, or move it away" in said
    assert "Traceback" not in said
    assert _bytes_of(filled) == before
    if command == "run":
        assert len(filled.sandbox.gladly_requests) == requests


@pytest.mark.parametrize("seed", range(2))
def test_c9_damage_met_in_the_middle_of_a_cycle_is_told_as_such(filled, seed):
    """A cycle either does its work on whole pages or ends with a documented code and a sentence."""
    draw = random.Random(seed)
    history(filled.sandbox)
    pages = filled.state_path.stat().st_size // 4096
    for _ in range(pages // 4):
        _damaged(filled, 4096 * draw.randrange(1, pages), draw.randbytes(4096))
    done = filled.run("once")
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "is damaged" in say(done)


# Row C10, another file in its place


def test_c10_a_store_restored_from_an_old_copy_sends_only_what_it_does_not_know(installation):
    """Nothing recorded in the copy goes out again; the rest does, with the same ids and bytes."""
    history(installation.sandbox)
    settle(installation)
    shutil.copy(installation.state_path, installation.directory / "last-week.db")
    known = {event["message_id"] for event in installation.events()}
    people_writing_in(installation.sandbox, 3, seconds_ago=30)
    settle(installation)
    sent_since = {event["message_id"] for event in installation.events()} - known
    assert len(sent_since) == 3
    for leftover in installation.directory.glob(installation.state_path.name + "-*"):
        leftover.unlink()
    shutil.copy(installation.directory / "last-week.db", installation.state_path)
    settle(installation)
    assert set(installation.sandbox.inbox.repeats) == sent_since
    assert_nothing_lost(installation)


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced by another file"])
def test_c10_a_daemon_whose_file_is_taken_away_ends(installation, replaced):
    """It must not go on writing to a file that nobody will find again: exit 2 and a sentence."""
    history(installation.sandbox)
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.3s"
    with running(installation, "run") as process:
        wait_until(lambda: problems(installation.sandbox) == [])
        wait_until(lambda: len(cycles_of(installation)) > 1)
        if replaced:
            shutil.copy(installation.state_path, installation.directory / "other.db")
            (installation.directory / "other.db").rename(installation.state_path)
        else:
            installation.state_path.unlink()
        people_writing_in(installation.sandbox, 2, seconds_ago=10)
        try:
            code = process.wait(8)
        except subprocess.TimeoutExpired:
            pytest.fail("the daemon goes on writing to a file that is not there")
    assert code == 2
    assert installation.state_path.name in stderr_of(installation)
    assert "Traceback" not in stderr_of(installation)
    for leftover in installation.directory.glob(installation.state_path.name + "-*"):
        leftover.unlink()
    settle(installation)
    assert_nothing_lost(installation)


# Row C11, other schemas


def test_c11_a_kill_inside_the_first_migration_leaves_an_empty_file(installation):
    """The half-made file answers `status`, is empty, and the next cycle makes it whole."""
    installation.settings[FAILPOINT] = "migrate.commit"
    assert installation.run("once").returncode == -signal.SIGKILL
    del installation.settings[FAILPOINT]
    assert rows(installation.state_path, "SELECT name FROM sqlite_master") == []
    assert installation.run("status").returncode == 0
    history(installation.sandbox)
    assert_nothing_lost(installation)
    assert rows(installation.state_path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


@pytest.mark.parametrize("name", ["migrate.begin", "migrate.commit"])
def test_c11_a_file_of_an_older_release_survives_a_kill_in_its_migration(installation, name):
    """What it held is there before and after, and it is brought up to date by the next start."""
    database = Database(installation.state_path)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrations.apply(database, stop_before="m002_indexes")
    database.execute("PRAGMA user_version = 1")
    database.execute(
        "INSERT INTO conversations (id, customer_id, status, updated_at)"
        " VALUES ('kept', 'customer', 'OPEN', '2026-11-20T08:00:00.000Z')"
    )
    database.conn.commit()
    database.close()
    history(installation.sandbox)
    installation.settings[FAILPOINT] = name
    assert installation.run("once").returncode == -signal.SIGKILL
    del installation.settings[FAILPOINT]
    assert rows(installation.state_path, "PRAGMA user_version") == [(1,)]
    assert_nothing_lost(installation)
    assert rows(installation.state_path, "SELECT id FROM conversations WHERE id = 'kept'") == [("kept",)]
    Store(installation.directory / "fresh.db").close()
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    assert rows(installation.state_path, schema) == rows(installation.directory / "fresh.db", schema)


@pytest.mark.parametrize("command", ["once", "run", "status", "check"])
def test_c11_a_file_of_a_newer_release_is_refused_untouched(installation, command):
    """Exit 2, both versions named, not a byte changed."""
    Store(installation.state_path).close()
    with contextlib.closing(sqlite3.connect(installation.state_path)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = _bytes_of(installation)
    done = installation.run(command)
    assert done.returncode == 2
    said = " ".join((done.stderr + done.stdout).split())
    assert f"has schema version 99 and this release knows up to {SCHEMA_VERSION}" in said
    assert _bytes_of(installation) == before


def test_c11_a_newer_file_is_an_error_of_its_own(tmp_path):
    """For a caller, "upgrade" and "damaged" are different things to do."""
    Store(tmp_path / "state.db").close()
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerSchemaError):
        Store(tmp_path / "state.db")
    assert issubclass(NewerSchemaError, StateFileError)


# Row C12, a reader that stays


def test_c12_a_long_reader_delays_the_tidying_and_nothing_else(installation):
    """Cycles go on beside it; once it has gone the log is copied and cut to nothing."""
    history(installation.sandbox)
    settle(installation)
    log = installation.state_path.with_name(installation.state_path.name + "-wal")
    with contextlib.closing(
        sqlite3.connect(installation.state_path.as_uri() + "?mode=ro", uri=True, isolation_level=None)
    ) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM events").fetchone()
        for _ in range(2):
            people_writing_in(installation.sandbox, 40, seconds_ago=20)
            assert installation.run("once", timeout=8).returncode == 0
        assert reader.execute("SELECT count(*) FROM events").fetchone() == before
        grown = log.stat().st_size
        assert grown > 0
    settle(installation)
    assert not log.exists() or log.stat().st_size < grown
    assert_nothing_lost(installation)


# Row C13, threads and children


def test_c13_the_store_serves_a_thread_that_did_not_open_it(tmp_path):
    """The scheduler's thread uses what the main thread opened: no ProgrammingError."""
    with Store(tmp_path / "state.db") as store:
        failures = []

        def use() -> None:
            try:
                store.take_in(nth_chunk(1))
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert failures == []
        assert commits_in(store) == 1


def test_c13_a_child_process_keeps_neither_the_lock_nor_the_file(tmp_path):
    """What the program starts inherits nothing of it: the lock is free when the program has ended."""
    with Store(tmp_path / "state.db"):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
        with pytest.raises(StateLockedError):
            Store(tmp_path / "state.db")
    try:
        Store(tmp_path / "state.db").close()
    finally:
        child.kill()
        child.wait()


# Row C14, modes


def test_c14_what_the_program_writes_is_for_its_owner_alone(installation):
    """Under umask 022, and where a copy had come back readable by all: 0600 for the file and its siblings."""
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


# Row C15, a long outbox


def test_c15_a_long_outbox_is_kept_whole_and_drained_in_order(installation):
    """Segment down for long: `once` gives up soon, `status` raises the alarm, nothing is dropped or moved."""
    sandbox, count = installation.sandbox, 20_000
    with Store(installation.state_path) as store:
        for number in range(4):
            chunk = nth_chunk(number, count // 4)
            chunk.position = sandbox.clock.now() - timedelta(minutes=1)
            store.take_in(chunk)
    down = Fault(status=503, headers={"Retry-After": "600"}, times=None)
    sandbox.faults.add("segment", "*", down)
    begun = time.monotonic()
    done = installation.run("once")
    assert time.monotonic() - begun < 20
    assert done.returncode == 1
    assert "Segment" in say(done)
    with contextlib.closing(sqlite3.connect(installation.state_path)) as db, db:
        db.execute("UPDATE events SET created_at = '2026-11-20T08:00:00.000Z'")
    alarm = installation.run("status", "--max-lag", "1h")
    assert alarm.returncode == 1
    assert "oldest pending event" in say(alarm)
    sandbox.faults.clear()
    posts = len(sandbox.segment_requests)
    assert installation.run("once").returncode == 0
    sent = [attempt.message_id for attempt in sandbox.inbox.attempts]
    assert sent == [f"message-conversation-{number}-{n}" for number in range(4) for n in range(count // 4)]
    assert len(sandbox.segment_requests) - posts < count / 500
    with Reader(installation.state_path) as reader:
        assert reader.event_counts() == {"pending": 0, "delivered": count, "rejected": 0, "suppressed": 0}
