"""What the fault tests of the state file, of time, of the process and of security share."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from state import Event, EventStatus, Status, Store, StoredConversation, TakenIn, Transition
from support.checker import problems, suppressed
from support.installation import Installation

FAILPOINT = "GLADLY_SEGMENT_FAILPOINT"

Process = subprocess.Popen[str]


# A past to take in


def history(sandbox: Sandbox, seconds_ago: float = 300) -> None:
    """A little of everything that happens to conversations, over the minute that began so long ago."""
    world, begun = sandbox.world, sandbox.clock.now() - timedelta(seconds=seconds_ago)

    def at(seconds: float) -> datetime:
        return begun + timedelta(seconds=seconds)

    agent, topic = world.add_agent("Sam Doe"), world.add_topic("Returns")
    ana, bea, cem, dia, eli = (world.add_customer(at=at(0)) for _ in range(5))
    world.open_conversation(ana, at=at(1), agent=agent)
    twice = world.open_conversation(bea, at=at(2))
    world.add_topic_to(twice, topic, at=at(3))
    world.close(twice, at=at(10))
    world.reopen(twice, at=at(20))
    world.close(twice, at=at(30))
    world.open_conversation(cem, at=at(4))
    world.open_conversation(dia, at=at(5))
    world.merge(cem, dia, at=at(35))
    forgotten = world.open_conversation(eli, at=at(6))
    world.close(forgotten, at=at(40))
    world.delete(eli, at=at(41))


def people_writing_in(sandbox: Sandbox, count: int, seconds_ago: float = 120) -> list[str]:
    """So many conversations opened, one every 10 ms; returns their ids."""
    begun = sandbox.clock.now() - timedelta(seconds=seconds_ago)
    return [
        sandbox.world.open_conversation(
            sandbox.world.add_customer(at=begun), at=begun + timedelta(milliseconds=10 * n)
        ).id
        for n in range(count)
    ]


# The program under conditions


def start_under(installation: Installation, prefix: list[str], *arguments: str, **options: Any) -> Process:
    """Start a command of the program through *prefix*, which ends in running what follows it."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "sync", *arguments],
        cwd=installation.directory,
        env=installation.environment,
        **options,
    )


def run_under(
    installation: Installation, prefix: list[str], *arguments: str, timeout: float = 60, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run a command of the program through *prefix* to its end."""
    process = start_under(installation, prefix, *arguments, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        end(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out or "", err or "")


def shell(before: str) -> list[str]:
    """A prefix: what the shell does first (`ulimit -n 12`, `umask 022`)."""
    return ["sh", "-c", f'{before} && exec "$@"', "sh"]


def end(process: Process) -> None:
    """Make sure that *process* is over and its pipes are closed."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@contextlib.contextmanager
def running(installation: Installation, *arguments: str) -> Iterator[Process]:
    """A command of the program for the time of a block, its log in `stderr.txt`."""
    with (installation.directory / "stderr.txt").open("w") as log:
        process = start_under(installation, [], *arguments, stderr=log)
        try:
            yield process
        finally:
            end(process)


def stderr_of(installation: Installation) -> str:
    """What a `running` command has said on standard error."""
    return (installation.directory / "stderr.txt").read_text("utf-8")


def cycles_of(installation: Installation) -> list[tuple[datetime, datetime]]:
    """When each cycle that a `running` command has logged began and ended, by its own clock."""
    try:
        lines = stderr_of(installation).splitlines(keepends=True)
    except FileNotFoundError:
        return []
    logged = [json.loads(line) for line in lines if line.endswith("\n") and line.startswith("{")]
    ends = [
        (datetime.fromisoformat(line["timestamp"]), timedelta(seconds=line["seconds"]))
        for line in logged
        if line["event"] == "cycle.finished"
    ]
    return [(ended - took, ended) for ended, took in ends]


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for *condition*; a wait in vain is a failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for has not happened"
        time.sleep(0.02)


def plain_user() -> list[str]:
    """A prefix under which file modes hold also for root; nothing for anyone else."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root passes every file mode, and there is no setpriv to give that up")
    less = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"]


def in_a_mount_namespace() -> list[str]:
    """A prefix with mounts of its own; skips where the kernel does not grant one."""
    prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    probe = [*prefix, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("this kernel grants no user and mount namespace")
    return prefix


# What must hold afterwards


def rows(path: Path, sql: str, *parameters: object) -> list[Any]:
    """Ask the state file directly."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql, parameters).fetchall()


def assert_whole(installation: Installation) -> None:
    """The file is sound, nothing was sent that it does not know, and one messageId has one content (D)."""
    sandbox, path = installation.sandbox, installation.state_path
    contents: dict[str, set[bytes]] = {}
    for attempt in sandbox.inbox.attempts:
        contents.setdefault(attempt.message_id, set()).add(attempt.raw)
    assert [id_ for id_, several in contents.items() if len(several) > 1] == []
    if not path.exists() or not path.stat().st_size:
        assert contents == {}
        return
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    events = installation.events()
    assert contents.keys() - {e["message_id"] for e in events} == set()
    assert {e["message_id"] for e in events if e["status"] == "delivered"} - contents.keys() == set()


def settle(installation: Installation, tries: int = 4) -> None:
    """Cycles until nothing is left to do."""
    for _ in range(tries):
        done = installation.run("once")
        if done.returncode == 0 and not installation.events(status="pending"):
            return
    raise AssertionError(f"exit {done.returncode}: {done.stderr}")


def assert_nothing_lost(installation: Installation, *, until: datetime | None = None) -> None:
    """Once it has caught up, Segment has the world's history: none missing, none extra, every field right."""
    assert_whole(installation)
    settle(installation)
    assert_whole(installation)
    found = problems(installation.sandbox, until=until)
    assert found == [], "\n".join(found)
    assert suppressed(installation.sandbox, installation.events()) == []


def say(done: "subprocess.CompletedProcess[str]") -> str:
    """The sentences a command ended with on standard error, its log lines apart."""
    return "\n".join(line for line in done.stderr.splitlines() if line.startswith("error: "))


# The state file by itself

EPOCH = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def nth_chunk(number: int, events: int = 1) -> TakenIn:
    """The n-th of a row of chunks: it moves the watermark by a second and adds *events* conversations."""
    position = EPOCH + timedelta(seconds=number)
    ids = [f"conversation-{number}-{n}" for n in range(events)]
    return TakenIn(
        position=position,
        seen=[(f"change-{id_}", position) for id_ in ids],
        conversations=[
            StoredConversation(
                id_,
                f"customer-{id_}",
                Status.CLOSED,  # an open one would be looked up again, and Gladly has never heard of it
                updated_at=position,
                created_at=position,
                closed_at=position,
            )
            for id_ in ids
        ],
        events=[
            Event(
                message_id=f"message-{id_}",
                conversation_id=id_,
                customer_id=f"customer-{id_}",
                transition=Transition.CREATED,
                event="Gladly Conversation Created",
                occurred_at=position,
                status=EventStatus.PENDING,
                payload=b'{"type":"track","event":"Gladly Conversation Created","userId":"customer-%s",'
                b'"messageId":"message-%s","properties":{"customerName":"%s"}}'
                % (id_.encode(), id_.encode(), b"x" * 300),
            )
            for id_ in ids
        ],
    )


def commits_in(store: Store, events: int = 1) -> int:
    """How many `nth_chunk`s the file holds; the watermark, the outbox and the rest must agree on it."""
    with contextlib.closing(
        sqlite3.connect(f"{store.path.absolute().as_uri()}?mode=ro", uri=True)
    ) as reading:
        counts = {
            table: reading.execute(f"SELECT count(*) FROM {table}").fetchone()[0] / events
            for table in ("events", "conversations", "seen_changes")
        }
        assert reading.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    position = store.watermark()
    number = 0 if position is None else round((position - EPOCH).total_seconds())
    assert counts == {"events": number, "conversations": number, "seen_changes": number}
    return number
