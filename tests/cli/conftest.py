"""The commands, called in this process where speed matters; `installation` runs them as processes."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from state import Event, EventStatus, Store, TakenIn, Transition
from support.installation import Installation
from sync.cli import main as cli


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json_lines(self) -> list[dict[str, Any]]:
        """Standard output, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """An empty working directory, and no setting in the environment."""
    for name in list(os.environ):
        if name.startswith(("GLADLY_", "SEGMENT_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def command(bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Call the program with these arguments; variables of the environment by name."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def call(*arguments: str, **environment: str) -> Outcome:
        with bare.context() as patch:
            patch.setattr(sys, "argv", ["gladly-segment", *arguments])
            for name, value in environment.items():
                patch.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as exit_:
                cli.main()
        said = capsys.readouterr()
        return Outcome(int(exit_.value.code or 0), said.out, said.err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def gladly_segment(installation: Installation, command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Call the program as it is set up against the sandbox."""

    def call(*arguments: str, **environment: str) -> Outcome:
        return command(*arguments, **(installation.environment | environment))

    return call


@pytest.fixture
def three_events(installation: Installation, ago: Callable[[float], Any]) -> list[str]:
    """A state file with a delivered, a rejected and a pending event, oldest first; their message ids."""
    message_ids = ["delivered-1", "rejected-1", "pending-1"]
    payload = b'{"type":"track","messageId":"%s","userId":"u-1","properties":{"conversationId":"%s"}}'
    with Store(installation.state_path) as store:
        store.take_in(
            TakenIn(
                position=ago(60),
                events=[
                    Event(
                        message_id=id_,
                        conversation_id=f"c-{n}",
                        customer_id="u-1",
                        transition=Transition.CREATED,
                        event="Gladly Conversation Created",
                        occurred_at=ago(300 - n),
                        status=EventStatus.PENDING,
                        payload=payload % (id_.encode(), f"c-{n}".encode()),
                    )
                    for n, id_ in enumerate(message_ids)
                ],
            )
        )
        store.mark_delivered(["delivered-1"])
        store.mark_rejected("rejected-1", "Segment answered 400: no")
    return message_ids
