"""The power fails, and the write-ahead log is cut or has wrong bits (faults C2)."""

import random

import pytest

from state.store import Store
from support.chunks import commits_in, nth_chunk
from support.processes import FAILPOINT
from support.recovery import assert_nothing_lost, run_until_delivered
from support.worlds import history

pytestmark = pytest.mark.long


def test_a_log_cut_at_any_byte_or_with_a_flipped_bit_leaves_one_commit_whole(tmp_path):
    """
    The conversations, the outbox and the watermark are of the same commit. A longer log leaves a later commit
    (faults C2).
    """
    with Store(tmp_path / "live.db") as store:
        for number in range(1, 11):
            store.commit(nth_chunk(number))
    with Store(tmp_path / "live.db") as store:
        for number in range(11, 31):
            store.commit(nth_chunk(number))
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
            reopened.commit(nth_chunk(number + 1))  # and the store goes on from there
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

    # The power fails while the log is copied into the file. The log repairs any mixture of pages.
    with Store(tmp_path / "live.db"):
        copied = (tmp_path / "live.db").read_bytes()
    for _ in range(5):
        mixture = b"".join(
            draw.choice((file[at : at + page_size], copied[at : at + page_size])) or b"\0" * page_size
            for at in range(0, len(copied), page_size)
        )
        assert survivors(log, mixture) == 30


@pytest.mark.parametrize("part_kept", [0.0, 0.5])
def test_what_a_power_cut_undid_is_read_and_sent_again_under_the_same_ids(installation, part_kept):
    """An event may then reach Segment twice, with the same bytes. None is lost (faults C2)."""
    history(installation.sandbox)
    installation.settings[FAILPOINT] = "cycle.end"
    installation.run("once")
    del installation.settings[FAILPOINT]
    log = installation.state_path.with_name(installation.state_path.name + "-wal")
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * part_kept)])
    before = len(installation.sandbox.inbox.attempts)
    assert before > 0
    run_until_delivered(installation)
    assert installation.sandbox.inbox.repeats.total() == len(installation.sandbox.inbox.attempts) - before
    assert_nothing_lost(installation)
