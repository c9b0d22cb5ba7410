"""A customer is deleted: what is erased, when it counts as gone, and what room on the disk that takes."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.world.history import SYSTEM
from state.instants import utc_now
from state.records import CustomerMerge, TakenIn
from state.store import Store
from state.writer.erasure import WipeTiming
from support.confinement import in_a_mount_namespace
from support.state_samples import commit, conversation, eight, event, files_holding, query, row_of
from sync.runtime.build import build_pipeline
from sync.settings.loading import load
from sync.stop import Stop

GONE = "customer was deleted"


def delete(store, customer):
    """Take in that a customer was deleted."""
    store.commit(TakenIn(deletions={customer: (eight(500), GONE)}))


def wiped(path):
    """Return the customers who count as wiped."""
    return [id_ for (id_,) in query(path, "SELECT id FROM customers WHERE wiped_at IS NOT NULL")]


@pytest.mark.parametrize("reads", ["SELECT count(*) FROM events", "SELECT payload FROM events"])
def test_a_customer_counts_as_wiped_only_when_the_data_is_gone(tmp_path, reads):
    """
    While somebody reads, the bytes stay in the file or its log, and `wiped_at` stays empty (faults H3.1).
    """
    path = tmp_path / "state.db"
    with Store(path) as store:
        commit(store, event("m-1"))
        with subprocess.Popen(
            [sys.executable, "-c", _READER, str(path), reads],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as reader:
            assert reader.stdout.readline() == "reading\n"
            delete(store, "customer")
            store.erasure.wipe(utc_now())
            # By another process: closing the file in this one would drop the locks of the store.
            assert subprocess.run(f"cat {path}* | grep -q zoe@example.com", shell=True).returncode == 0
            assert wiped(path) == []
            reader.communicate("end\n")
        store.erasure.wipe(utc_now())
        assert files_holding(path, "zoe@example.com") == []
        assert wiped(path) == ["customer"]


def test_a_deletion_after_a_rebuild_is_not_taken_for_wiped(tmp_path):
    """Who is deleted while the log cannot be emptied is wiped by a rebuild of their own (faults H3.1)."""
    path = tmp_path / "state.db"
    with Store(path) as store:
        commit(store, event("m-1", customer="ana", email="ana@example.com"))
        commit(store, event("m-2", customer="ben", email="ben@example.com"))
        delete(store, "ana")
        assert wiped(path) == ["ana"]
        with subprocess.Popen(
            [sys.executable, "-c", _READER, str(path), "SELECT 1 FROM events"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as reader:
            reader.stdout.readline()
            delete(store, "ben")
            assert wiped(path) == ["ana"]
            reader.communicate("end\n")
        store.erasure.wipe(utc_now())
        assert wiped(path) == ["ana", "ben"]
        assert files_holding(path, "ben@example.com") == []


@pytest.mark.parametrize("status", ["pending", "rejected", "delivered"])
@pytest.mark.parametrize("order", ["in one chunk", "in two"])
@pytest.mark.parametrize("further", [False, True], ids=["merged once", "merged on"])
def test_the_deletion_of_a_merged_customer_says_nothing_about_who_remains(tmp_path, status, order, further):
    """Nothing of the destination, and nothing that the source brought there, is suppressed (faults H3.4)."""
    path = tmp_path / "state.db"
    merges = [CustomerMerge("ana", "ben", eight(10))]
    if further:
        merges.append(CustomerMerge("ben", "cleo", eight(20)))
    with Store(path) as store:
        commit(
            store,
            *(event(f"m-{name}", customer=name, conversation=f"c-{name}") for name in ("ana", "ben", "cleo")),
            conversations=[conversation(f"c-{name}", customer=name) for name in ("ana", "ben", "cleo")],
        )
        store._connection.execute("UPDATE events SET status = ?", (status,))
        deletions = {"ana": (eight(500), GONE)}
        if order == "in one chunk":
            store.commit(TakenIn(merges=merges, deletions=deletions))
        else:
            store.commit(TakenIn(merges=merges))
            store.commit(TakenIn(deletions=deletions))
        for name in ("ana", "ben", "cleo"):
            assert row_of(path, f"m-{name}", "status, payload IS NULL") == (status, 0)
        assert {c.status.value for c in store.conversations(["c-ana", "c-ben", "c-cleo"]).values()} == {
            "OPEN"
        }
        assert store.deleted_customers(["ana", "ben", "cleo"]) == {}


def test_the_deletion_of_who_remains_takes_everyone_along(tmp_path):
    """A customer who was merged into a deleted one counts as deleted, before and after (faults H3.4)."""
    path = tmp_path / "state.db"
    with Store(path) as store:
        commit(store, event("m-ana", customer="ana"), event("m-dora", customer="dora"))
        store.commit(
            TakenIn(merges=[CustomerMerge("ana", "ben", eight(1)), CustomerMerge("ben", "cleo", eight(2))])
        )
        delete(store, "ana")
        delete(store, "cleo")
        assert row_of(path, "m-ana", "status, payload") == ("suppressed", None)
        assert row_of(path, "m-dora", "status") == ("pending",)
        assert store.deleted_customers(["ana", "ben", "cleo", "dora"]) == dict.fromkeys(
            ["ana", "ben", "cleo"], GONE
        )


def test_a_deletion_never_fills_the_disk_and_never_keeps_it_full(tmp_path):
    """
    The file is larger than the free disk. The deletion says so, leaves the disk as it was, and is finished
    when there is room (faults H2.8).
    """
    prefix = in_a_mount_namespace()
    done = subprocess.run(
        [*prefix, sys.executable, "-c", _SMALL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "finished\n", "")


def test_a_large_file_is_rebuilt_once_a_day_at_most(tmp_path):
    """A large file is rebuilt once a day, and not at each deletion (faults H2.8)."""
    path = tmp_path / "state.db"
    now = utc_now()
    with Store(path, wiping=WipeTiming(small_bytes=0)) as store:
        for name in ("ana", "ben"):
            commit(store, event(f"m-{name}", customer=name, email=f"{name}@example.com"))
        delete(store, "ana")
        assert wiped(path) == []
        store.erasure.wipe(now)
        assert wiped(path) == ["ana"]
        delete(store, "ben")
        for hours in (0, 1, 23):
            store.erasure.wipe(now + timedelta(hours=hours))
            assert wiped(path) == ["ana"]
            assert not path.with_name("state.db-wal").stat().st_size
        store.erasure.wipe(now + timedelta(hours=24, seconds=1))
        assert wiped(path) == ["ana", "ben"]


def test_a_large_file_is_rebuilt_after_the_cycle_and_not_in_it(begin, sandbox):
    """The cycle ends, and is reported, before the file is rebuilt (faults H2.8)."""
    ana = sandbox.world.add_customer("Ana Example")
    sandbox.world.close(sandbox.world.open_conversation(ana))
    program = begin()
    program.run()
    program.close()
    sandbox.world.delete(ana)
    with (
        Store(program.path, wiping=WipeTiming(small_bytes=0)) as store,
        build_pipeline(load(None), store, Stop()) as pipeline,
    ):
        assert pipeline.cycle.run().errors == []
        assert wiped(program.path) == []
        pipeline.cycle.tidy()
        assert wiped(program.path) == [ana.id]


_READER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute(sys.argv[2]).fetchone()
print("reading", flush=True)
sys.stdin.readline()
"""

_SMALL_DISK = """
import os, shutil, subprocess, sys
from pathlib import Path
sys.path[:0] = ["tests"]
from sandbox.world.history import SYSTEM
from state.instants import utc_now
from state.records import TakenIn
from state.store import Store
from state.writer.erasure import WipeTiming
from support.state_samples import commit, eight, event, files_holding, query
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", disk], check=True)
os.environ["SQLITE_TMPDIR"] = str(disk)
path = disk / "state.db"
said = []
with Store(path, wiping=WipeTiming(again_after_s=0, reserve_bytes=1_000_000)) as store:
    for chunk in range(8):
        commit(store, *(event(f"m-{chunk}-{n}", customer=f"c-{n}", padding=9_000) for n in range(100)))
        store.erasure.truncate_log_later()
        store.erasure.wipe(utc_now())
    free = shutil.disk_usage(disk).free
    store.commit(TakenIn(deletions={"c-7": (eight(500), "customer was deleted")}))
    for _ in range(3):
        store.erasure.wipe(utc_now(), lambda name, **figures: said.append(name))
        assert shutil.disk_usage(disk).free >= free - 100_000, (free, shutil.disk_usage(disk).free)
    assert set(said) == {"wipe.delayed"}, said
    assert query(path, "SELECT count(*) FROM customers WHERE wiped_at IS NULL") == [(1,)]
    commit(store, event("m-later"))
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
    store.erasure.wipe(utc_now())
    assert query(path, "SELECT count(*) FROM customers WHERE wiped_at IS NULL") == [(0,)]
    assert files_holding(path, '"messageId":"m-3-7"') == []
print("finished")
"""


@pytest.mark.parametrize("cycles", ["one cycle", "three cycles"])
def test_the_feed_tells_of_a_merge_and_then_of_the_sources_deletion(begin, sandbox, cycles):
    """Gladly drops the profile that was merged away. Every event of both is delivered (faults H3.4)."""
    world, begun = sandbox.world, sandbox.clock.now() - timedelta(seconds=50)

    def at(seconds):
        return begun + timedelta(seconds=seconds)

    program = begin()
    stays, goes = (world.add_customer(at=at(0)) for _ in range(2))
    first = world.open_conversation(goes, at=at(1))
    world.close(first, at=at(10))
    second = world.open_conversation(stays, at=at(20))
    if cycles == "three cycles":
        program.run()
    world.merge(goes, stays, at=at(30))
    if cycles == "three cycles":
        program.run()
    world._record("CUSTOMER_PROFILE/DELETED", at(31), None, SYSTEM, customer_id=goes.id)
    world.close(second, at=at(40))
    assert program.run().errors == []
    found = {(e["conversation_id"], e["transition"], e["status"]) for e in program.events()}
    assert found == {(id_, t, "delivered") for id_ in (first.id, second.id) for t in ("created", "closed")}
