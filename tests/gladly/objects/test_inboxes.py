"""Which inboxes are sent (`sync.inboxes`), by their ids or names."""

import pytest

from sandbox import Fault
from sandbox.world.records import TeamInbox
from sync.errors import SettingsError
from sync.gladly.objects.inboxes import WantedInboxes, find_inboxes, unknown_inboxes
from sync.gladly.objects.lookups import Lookups
from sync.gladly.objects.names import Failed

INBOXES = "/api/v1/inboxes"


@pytest.fixture
def ids(sandbox):
    """Return the ids of the sandbox's inboxes by name."""
    return {inbox.name: id_ for id_, inbox in sandbox.world.inboxes.items()}


@pytest.fixture
def wanted(client):
    """Return a function that makes the wanted inboxes of a setting."""
    lookups = Lookups(client)
    yield lambda *names: WantedInboxes(names, lookups)
    lookups.close()


def asked(sandbox):
    return [r.path for r in sandbox.gladly_requests].count(INBOXES)


def test_an_id_is_known_without_a_request(sandbox, wanted, ids):
    """An event of the inbox that is named by its id costs nothing more."""
    general = ids["General"]
    assert wanted(general).has(general) is True
    assert wanted(general).has(None) is False
    assert asked(sandbox) == 0


@pytest.mark.parametrize("name", ["Wholesale", "wholesale", " WHOLESALE "])
def test_a_name_is_known_from_one_list(sandbox, wanted, ids, name):
    """Whatever its case. The list is read once for all."""
    inboxes = wanted(name)
    assert [inboxes.has(id_) for id_ in (*ids.values(), *ids.values())] == 2 * [False, False, True]
    assert asked(sandbox) == 1


def test_an_inbox_that_is_new_is_found_at_once(sandbox, wanted, ids):
    """What is not wanted is suppressed for good, so an unknown id is worth a request."""
    inboxes = wanted("Shop A")
    assert inboxes.has(ids["General"]) is False
    sandbox.world.inboxes["new"] = TeamInbox("new", "Shop A")
    assert inboxes.has("new") is True
    assert inboxes.has("nobody knows it") is False
    assert inboxes.has("nobody knows it") is False
    assert asked(sandbox) == 3


def test_a_list_that_does_not_come_says_nothing(sandbox, wanted, ids):
    """Neither yes nor no, so that the event waits."""
    sandbox.faults.add("gladly", INBOXES, Fault(500, times=None))
    answer = wanted("Wholesale").has(ids["Wholesale"])
    assert isinstance(answer, Failed)
    assert answer.path == "/inboxes"


def test_what_gladly_does_not_know_is_named_with_what_it_knows(client, ids):
    """For `check`, which says what to write."""
    found = find_inboxes(client, ["general", ids["Wholesale"]])
    assert found == "only conversations of these are sent: General, Wholesale"
    with pytest.raises(SettingsError, match=r"no inbox 'Shop A', 'x'\. Its inboxes are General, Returns, "):
        find_inboxes(client, ["General", "Shop A", "x"])


def test_an_inbox_without_a_name_is_known_by_its_id():
    """Gladly may leave the name out."""
    assert unknown_inboxes(["i-1", ""], {"i-1": ""}) == [""]
