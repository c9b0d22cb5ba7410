"""A state file of its own for each test, and a store on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from state.reader import Reader
from state.records import BadLine, EventStatus, Status, Transition
from state.store import Store
from support.state_samples import commit, conversation, eight, event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a state file may be; there is none yet."""
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A new, empty store."""
    with Store(path) as opened:
        yield opened


@pytest.fixture
def busy(path: Path, store: Store) -> Store:
    """A store in which a little of everything has happened."""
    commit(
        store,
        event("m-1", conversation="c-1", at=eight(0)),
        event("m-2", conversation="c-2", at=eight(1)),
        event("m-3", conversation="c-1", at=eight(60), transition=Transition.CLOSED),
        event("m-4", conversation="c-3", at=eight(86_400), status=EventStatus.SUPPRESSED, reason="gone"),
        conversations=[
            conversation("c-1", status=Status.CLOSED, closed_at=eight(60)),
            conversation("c-2", status=Status.WAITING, at=eight(1)),
            conversation("c-3", status=Status.OPEN, at=eight(2)),
            conversation("c-4", status=Status.MERGED),
            conversation("c-5", status=Status.DELETED),
        ],
        bad_lines=[BadLine("events", "not JSON", b"{")],
        position=eight(90),
    )
    store.outbox.mark_delivered(["m-1"])
    store.outbox.mark_rejected("m-2", "Segment answered 400: no")
    return store


@pytest.fixture
def reader(path: Path, busy: Store) -> Iterator[Reader]:
    """A reader of the busy store."""
    with Reader(path) as opened:
        yield opened


@pytest.fixture
def older(path: Path) -> Path:
    """A file of this release with something in it, which is an older one to the next release."""
    with Store(path) as store:
        commit(store, event("m-1"), conversations=[conversation("c-1")], position=eight())
    return path


@pytest.fixture
def answer(path: Path, store: Store) -> Callable[..., Any]:
    """Ask a question of `state.queries` about the store's file, as it is then."""

    def ask(question: Callable[..., Any], *arguments: object, **named: object) -> Any:
        with Reader(path) as opened:
            return opened.ask(question, *arguments, **named)

    return ask
