"""
What the documents are tried on: a sandbox with some days behind it, and a state file that has seen them.

A day before last nobody watched, and Gladly could not tell all of it; since then customers have written in,
come back, merged and left, Segment has refused an event, both ends have been down, and a line was broken.
"""

import csv
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from sandbox import Fault, Sandbox
from state.instants import to_text

ROOT = Path(__file__).parents[2]

CONFIG = """\
[gladly]
base_url = "{gladly}"
username = "{username}"
requests_per_second = 500

[segment]
base_url = "{segment}"

[sync]
every = "1s"
start = "3d"
"""

# Answers so, and asks for a wait longer than a call is worth: the cycle fails there, and at once.
DOWN = Fault(status=503, headers={"Retry-After": "600"}, times=None)
TOO_OLD = Fault(
    status=400,
    times=2,  # a single refusal is asked again
    body=b'{"errors":[{"attr":"startAt","code":"invalid","detail":"is too long ago"}]}',
)


class Scene:
    """The sandbox, and a directory in which the program is set up against it and has run."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self.sandbox = sandbox
        self.directory = directory
        (directory / "config.toml").write_text(
            CONFIG.format(
                gladly=sandbox.gladly_url, segment=sandbox.segment_url, username=sandbox.gladly.username
            )
        )

    @property
    def state(self) -> Path:
        return self.directory / "gladly-segment.db"

    @property
    def environment(self) -> dict[str, str]:
        """A shell's: the two secrets, the program on the path, no browser and no setting of ours."""
        ours = ("GLADLY_", "SEGMENT_", "DEMO_")
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "GLADLY_API_TOKEN": self.sandbox.gladly.api_token,
            "SEGMENT_WRITE_KEY": self.sandbox.segment.write_key,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "BROWSER": "true",
        }

    def once(self) -> int:
        """A cycle, as a process; its exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "sync", "once"],
            cwd=self.directory,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=60,
        )
        return done.returncode

    def play(self) -> None:
        """Let it all happen, cycle by cycle."""
        world, faults, now = self.sandbox.world, self.sandbox.faults, self.sandbox.clock.now()

        def ago(**age: float) -> Any:
            return now - timedelta(**age)

        def customer(name: str, **more: Any) -> Any:
            email = {"normalized": f"{name.split(maxsplit=1)[0].lower()}@example.com", "primary": True}
            return world.add_customer(name, emails=[email], recorded=False, at=ago(days=4), **more)

        priya, kwame = world.add_agent("Priya Raman"), world.add_agent("Kwame Mensah")
        returns = world.add_topic("Returns")
        phones = [{"normalized": "+12135550102", "primary": True}]
        wren = customer("Wren Example", phones=phones, custom_attributes={"membershipTier": "gold"})
        ada, bo, cleo, dev, eve, fay, gil, hal = (
            customer(f"{name} Example") for name in ("Ada", "Bo", "Cleo", "Dev", "Eve", "Fay", "Gil", "Hal")
        )

        # Nobody watched: read from the report, but for its first day, which Gladly says is too long ago.
        first = world.open_conversation(wren, at=ago(hours=50), agent=priya)
        world.close(world.add_topic_to(first, returns, at=ago(hours=47)), at=ago(hours=46))
        world.open_conversation(ada, at=ago(hours=45), agent=kwame)
        leaving = world.open_conversation(eve, at=ago(hours=30))
        world.close(leaving, at=ago(hours=29))
        # Within the Events API's reach.
        second = world.open_conversation(wren, at=ago(hours=5), agent=priya)
        world.close(second, at=ago(hours=4))
        world.reopen(second, at=ago(hours=3))
        world.close(second, at=ago(hours=2))
        _, destination = (world.open_conversation(c, at=ago(hours=1)) for c in (bo, cleo))
        world.assign(destination, kwame, at=ago(minutes=50))
        world.merge(bo, cleo, at=ago(minutes=40))
        faults.add("gladly", "/api/v1/reports", TOO_OLD)
        self.once()

        world.delete(eve, late_s=0)
        brief = world.open_conversation(hal, late_s=0)
        world.close(brief, late_s=0)
        world.delete(hal, late_s=0)
        world.open_conversation(dev, agent=kwame, late_s=0)
        faults.rewrite_feed(lambda lines: [b'{"id": "broken", "type": "CONVERS\n', *lines])
        self.once()
        faults.rewrite_feed(None)

        faults.reject_message(lambda event: event["userId"] == fay.id)
        world.open_conversation(fay, agent=priya, late_s=0)
        self.once()

        world.close(destination, late_s=0)
        faults.add("gladly", "/api/v1/*", DOWN)
        self.once()
        faults.clear("gladly")
        self.once()

        # Segment is down: what happened last waits.
        faults.add("segment", "*", DOWN)
        world.open_conversation(gil, late_s=0)
        self.once()
        faults.clear()

    def copy_to(self, directory: Path) -> None:
        """Another directory as this one is; nobody has the state file open."""
        shutil.copytree(self.directory, directory, dirs_exist_ok=True)

    def write_what_gladly_sent(self, path: Path) -> None:
        """What Gladly's own integration would have sent: what happened, as a warehouse exports it."""
        names = {"created": "Gladly Conversation Created", "closed": "Gladly Conversation Closed"}
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["conversation_id", "event", "received_at"])
            for truth in self.sandbox.world.truth():
                gone = self.sandbox.world.deleted.get(truth.customer_id)
                if truth.kind in names and (gone is None or gone - truth.recorded_at > timedelta(minutes=1)):
                    rows.writerow([truth.conversation_id, names[truth.kind], to_text(truth.recorded_at)])
