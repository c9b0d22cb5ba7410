"""What is stored of one person, and where a text of theirs stands."""

import json
import sqlite3
from contextlib import closing

import pytest

from state.queries.persons import person, where_texts_stand
from state.reader import Reader
from state.records import CustomerMerge
from state.store import Store
from support.state_samples import EIGHT, commit, conversation, event


@pytest.fixture
def path(tmp_path):
    """A state file in which two customers were merged, one after the other, into a third."""
    with Store(tmp_path / "state.db") as store:
        commit(
            store,
            event("m-1", customer="first", conversation="c-1"),
            event("m-2", customer="second", conversation="c-2"),
            event("m-3", customer="third", conversation="c-3"),
            event("m-4", customer="other", conversation="c-4"),
            conversations=[conversation("c-1", customer="first"), conversation("c-4", customer="other")],
            merges=[CustomerMerge("first", "second", EIGHT), CustomerMerge("second", "third", EIGHT)],
        )
    return tmp_path / "state.db"


def test_a_person_is_everyone_merged_into_them(path):
    """Over any number of merges, and no one else."""
    with Reader(path) as reader:
        found = reader.ask(person, "third")
    assert (found.ids, found.lives_on_as, found.is_known) == (["third", "second", "first"], None, True)
    assert (found.counts["events"], found.counts["payloads"], found.counts["conversations"]) == (3, 3, 1)
    assert found.texts == {"zoe@example.com": "email"}


@pytest.mark.parametrize("id_", ["first", "second"])
def test_who_was_merged_lives_on_as_the_last_one(path, id_):
    """Not as one who was merged in turn."""
    with Reader(path) as reader:
        assert reader.ask(person, id_).lives_on_as == "third"


def test_nobody_is_known_of_whom_nothing_is_stored(path):
    """The beginning of an id is no id."""
    with Reader(path) as reader:
        assert not reader.ask(person, "thir").is_known


def test_the_texts_are_the_customers_own(path):
    """Names, addresses and attributes at any depth; no ids of ours, no short ones, nothing of an agent."""
    payload = {
        "userId": "third",
        "properties": {
            "conversationId": "c-3-long-enough",
            "agentName": "Bo Agent",
            "status": "CLOSED",
            "customerName": "Zoë Quinn",
            "phone": "+14155550100",
            "customAttributes": {
                "tier": "vip",
                "card": 4711_0815,
                "pets": ["Rex the dog"],
                "on": True,
                "no": None,
            },
        },
    }
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE events SET payload = ? WHERE message_id = 'm-3'", (json.dumps(payload),))
        db.execute("UPDATE events SET payload = 'no JSON' WHERE message_id = 'm-2'")
    with Reader(path) as reader:
        assert reader.ask(person, "third").texts == {
            "zoe@example.com": "email",
            "Zoë Quinn": "customerName",
            "+14155550100": "phone",
            "47110815": "customAttributes.card",
            "Rex the dog": "customAttributes.pets",
        }


def test_a_text_stands_in_own_rows_in_copied_answers_and_in_those_of_others(path):
    """As JSON writes it, too."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE events SET payload = ? WHERE message_id = 'm-4'", (json.dumps({"name": "Zoë"}),))
        db.execute("INSERT INTO polls (error) VALUES ('Zoë answered')")
    with Reader(path) as reader:
        found = reader.ask(where_texts_stand, ["Zoë", "zoe@example.com"], ["first", "second", "third"])
    assert found == {
        "Zoë": {"own": 0, "copied": 1, "others": 1},
        "zoe@example.com": {"own": 3, "copied": 0, "others": 0},
    }
