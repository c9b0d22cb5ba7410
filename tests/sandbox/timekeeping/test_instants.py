"""Instants are written as Gladly writes them."""

from datetime import UTC, datetime

from sandbox.timekeeping.instants import parse_instant


def test_times_in_objects_have_any_number_of_digits_and_keep_their_millisecond(sandbox):
    at = datetime(2026, 11, 2, 9, 0, 0, 120_000, tzinfo=UTC)
    texts = []
    for _ in range(300):
        talk = sandbox.world.open_conversation(sandbox.world.add_customer(), at=at)
        texts.append(talk.wire()["createdAt"])
    assert {len(text) for text in texts} >= {
        len("2026-11-02T09:00:00.12Z"),
        len("2026-11-02T09:00:00.120123456Z"),
    }
    for text in texts:
        moment = parse_instant(text)
        assert moment.replace(microsecond=moment.microsecond // 1000 * 1000) == at
