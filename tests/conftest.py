"""What every room's tests share: a sandbox on loopback, and the program set up against it."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import freezegun
import pytest
from hypothesis import settings as hypothesis_settings

from sandbox import Fault, Sandbox
from state.records import Event, EventStatus, TakenIn, Transition
from state.store import Store
from support import event_forms
from support.commands import Outcome, call_program
from support.installation import Installation
from support.program import Program
from support.tuning import Tuned

hypothesis_settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis_settings.load_profile("project")

event_forms.listen()

# A sandbox that outlives a test with a frozen clock must use the real clock. Its event loop would set its
# timers by the frozen one, and sleep for decades.
freezegun.configure(extend_ignore_list=["asyncio"])


# Answers 503 and asks for a wait that is longer than a request may take. The cycle fails there at once.
DOWN = Fault(status=503, headers={"Retry-After": "600"}, times=None)


@pytest.fixture(autouse=True)
def published_form() -> Iterator[None]:
    """Every track event of the program that arrives in any sandbox has the published form (semantics 1.6)."""
    yield
    wrong = event_forms.of_another_form()
    assert not wrong, "\n".join(wrong[:5])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A quiet world: nothing happens except what the test does, and changes show at once."""
    with Sandbox(lateness_s=0, requests_per_second=None) as running:
        yield running


@pytest.fixture
def installation(tmp_path: Path, sandbox: Sandbox) -> Installation:
    """The program is set up against the quiet world, with its first watermark ten minutes back."""
    return Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "10m"})


@pytest.fixture
def ago(sandbox: Sandbox) -> Callable[[float], Any]:
    """Return a function that gives the instant so many seconds before the world's now."""
    now = sandbox.clock.now()
    return lambda seconds: now - timedelta(seconds=seconds)


@pytest.fixture
def opened(installation: Installation, ago: Callable[[float], Any]) -> Callable[..., Any]:
    """
    Return a function that lets a customer open a conversation in the sandbox, a minute ago unless it is told
    otherwise.
    """
    world = installation.sandbox.world

    def open_one(seconds_ago: float = 60.0, name: str = "Zoë Quinn") -> Any:
        customer = world.add_customer(name, emails=[{"normalized": "zoe@example.com", "primary": True}])
        return world.open_conversation(customer, at=ago(seconds_ago))

    return open_one


@pytest.fixture
def tuned() -> Tuned:
    """
    Return a function that changes numbers behind the settings before the sync begins:
    `tuned(retry={"max_attempts": 1})`.
    """
    return Tuned()


@pytest.fixture
def begin(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tuned: Tuned
) -> Iterator[Callable[..., Program]]:
    """
    Return a function that starts the sync in this process, with its first watermark ten minutes back:
    `begin()`, `begin(gladly=url)`, `begin(segment=url)`, `begin(sandbox=another)`. Further settings are named
    by their variables, without the prefix.
    """
    started: list[Program] = []

    own = sandbox

    def start(
        *,
        gladly: str | None = None,
        segment: str | None = None,
        sandbox: Sandbox = own,
        **settings: Any,
    ) -> Program:
        variables = {"SYNC__START": "10m", **settings}
        if gladly is not None:
            variables["GLADLY__BASE_URL"] = gladly
        if segment is not None:
            variables["SEGMENT__BASE_URL"] = segment
        named = {f"GLADLY_SEGMENT_{name}": value for name, value in variables.items()}
        started.append(Program(Installation(tmp_path, sandbox, named), monkeypatch, tuned.values))
        return started[-1]

    yield start
    for program in started:
        program.close()


@pytest.fixture
def impatient(tuned: Tuned) -> None:
    """Shorten the wait between two attempts to next to nothing. The number of attempts stays as it is."""
    tuned(retry={"first_backoff_s": 0.01, "longest_backoff_s": 0.01})


@pytest.fixture
def down() -> Fault:
    """A fault that makes an end be down without a wait."""
    return DOWN


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The working directory is empty, and no setting is in the environment."""
    for name in list(os.environ):
        if name.startswith(("GLADLY_", "SEGMENT_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.fixture
def command(bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """
    Return a function that calls the program in this process with these arguments. Variables of the
    environment are given by name.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield lambda *arguments, **environment: call_program(bare, capsys, arguments, environment)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def gladly_segment(installation: Installation, command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Return a function that calls the program as it is set up against the sandbox."""

    def call(*arguments: str, **environment: str) -> Outcome:
        return command(*arguments, **(installation.environment | environment))

    return call


@pytest.fixture
def three_events(installation: Installation, ago: Callable[[float], Any]) -> list[str]:
    """
    Make a state file with a delivered, a rejected and a pending event. Return their message ids, oldest
    first.
    """
    message_ids = ["delivered-1", "rejected-1", "pending-1"]
    payload = b'{"type":"track","messageId":"%s","userId":"u-1","properties":{"conversationId":"%s"}}'
    with Store(installation.state_path) as store:
        store.commit(
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
        store.outbox.mark_delivered(["delivered-1"])
        store.outbox.mark_rejected("rejected-1", "Segment answered 400: no")
    return message_ids
