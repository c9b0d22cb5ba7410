"""The daemon and a resync write the same file, each in its turn; and a file that is taken away is noticed."""

import pytest

from state.errors import StateFileError, StateLockedError
from state.locks import RESYNC
from state.reader import Reader
from state.records import TakenIn
from state.store import Store
from support.state_samples import eight, event, outbox, take_in


class NoPatience(Exception):
    """Somebody else has the turn, and that is all we wanted to know."""


def give_up(_seconds):
    raise NoPatience


@pytest.fixture
def resync(path, store):
    """A second store on the file, as a resync opens it beside the daemon."""
    with Store(path, RESYNC) as opened:
        yield opened


def test_a_resync_writes_beside_the_daemon(path, store, resync):
    """Both see what the other has committed."""
    take_in(store, event("m-1"))
    take_in(resync, event("m-2"))
    assert len(outbox(store)) == len(outbox(resync)) == 2


def test_there_is_one_resync_at_a_time(path, resync):
    """A second one is told what holds the file."""
    with pytest.raises(StateLockedError, match="a resync"):
        Store(path, RESYNC)


def test_whoever_has_the_turn_has_it_alone(store, resync):
    """The other waits, is told so once, and has it afterwards."""
    told = []
    with store.turn(), pytest.raises(NoPatience), resync.turn(give_up, lambda: told.append(1)):
        pytest.fail("two had the turn")
    assert told == [1]
    with resync.turn(give_up):
        pass


def test_a_turn_ends_with_an_error_too(store, resync):
    """Whatever happened in it."""
    with pytest.raises(ZeroDivisionError), store.turn():
        raise ZeroDivisionError
    with resync.turn(give_up):
        pass


# --- an interval read again -------------------------------------------------------------------------------


def test_a_resync_moves_its_own_position_and_not_the_watermark(store):
    """The daemon goes on from where it was."""
    take_in(store, position=eight(3_600))
    resync = store.resyncs.begin(eight(0), eight(600))
    store.commit(TakenIn(position=eight(300), resync=resync.id, events=[event("m-1")]))
    assert store.watermark() == eight(3_600)
    assert store.resyncs.unfinished() == resync._replace(position=eight(300))


def test_an_interrupted_resync_goes_on_where_it_stopped(store):
    """The same interval, asked for again; another one begins at its beginning."""
    first = store.resyncs.begin(eight(0), eight(600))
    store.commit(TakenIn(position=eight(300), resync=first.id))
    assert store.resyncs.begin(eight(0), eight(600)).position == eight(300)
    assert store.resyncs.begin(eight(0), eight(900)).position == eight(0)


def test_a_finished_resync_begins_anew(store):
    """Asked for again, the whole interval is read again."""
    resync = store.resyncs.begin(eight(0), eight(600))
    store.commit(TakenIn(position=eight(600), resync=resync.id))
    store.resyncs.finish(resync.id)
    assert store.resyncs.unfinished() is None
    assert store.resyncs.begin(eight(0), eight(600)).position == eight(0)


# --- a file that is taken away ----------------------------------------------------------------------------


def move(path):
    path.rename(path.with_suffix(".moved"))


def delete(path):
    path.unlink()


def replace(path):
    copy = path.with_suffix(".copy")
    with Reader(path) as reader:
        reader.copy_to(copy)
    copy.rename(path)


@pytest.mark.parametrize("take_away", [move, delete, replace])
def test_a_file_that_is_taken_away_is_noticed(path, store, take_away):
    """Writing on into what nobody will open again would lose it (faults C10)."""
    store.check_still_there()
    take_away(path)
    with pytest.raises(StateFileError, match=f"{path} was moved, deleted or replaced"):
        store.check_still_there()


def test_damaged_pages_are_found(path):
    """SQLite looks at each of them once (faults C9)."""
    with Store(path) as store:
        take_in(store, *(event(f"m-{n}", padding=500) for n in range(200)))
        store.check_pages()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xa5" * 4096 + whole[len(whole) // 2 + 4096 :])
    with Store(path) as store, pytest.raises(StateFileError, match="is damaged"):
        store.check_pages()
