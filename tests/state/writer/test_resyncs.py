"""An interval that is read again goes on where it stopped, and the watermark stays."""

from state.records import TakenIn
from support.state_samples import commit, eight, event


def test_a_resync_moves_its_own_position_and_not_the_watermark(store):
    """The daemon goes on from where it was."""
    commit(store, position=eight(3_600))
    resync = store.resyncs.begin(eight(0), eight(600))
    store.commit(TakenIn(position=eight(300), resync=resync.id, events=[event("m-1")]))
    assert store.watermark() == eight(3_600)
    assert store.resyncs.unfinished().resync == resync._replace(position=eight(300))


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
