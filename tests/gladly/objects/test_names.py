"""Kept names: the list is read as rarely as possible, and an unknown id is still found."""

import pytest

from sync.gladly.limits import GladlyLimits
from sync.gladly.objects.names import KeptNames


class Asked:
    """Gladly's names, and what was asked for."""

    def __init__(self, **names):
        self.names = names
        self.asked = []

    def read(self):
        self.asked.append("all")
        return dict(self.names)

    def read_one(self, id_):
        self.asked.append(id_)
        return self.names.get(id_)


@pytest.fixture
def asked():
    return Asked(a="Ana", b="Bea")


def test_the_list_is_read_once_for_many_names(asked):
    """And not before a name is wanted."""
    kept = KeptNames("/agents", GladlyLimits(), asked.read, asked.read_one)
    assert asked.asked == []
    assert [kept.name_of(id_) for id_ in "abab"] == ["Ana", "Bea", "Ana", "Bea"]
    assert asked.asked == ["all"]


def test_an_unknown_id_is_asked_for_by_itself_once(asked):
    """Within a minute of the list; also one that Gladly does not know."""
    kept = KeptNames("/agents", GladlyLimits(), asked.read, asked.read_one)
    kept.name_of("a")
    asked.names["c"] = "Cem"
    assert [kept.name_of(id_) for id_ in ("c", "c", "x", "x")] == ["Cem", "Cem", None, None]
    assert asked.asked == ["all", "c", "x"]


def test_where_one_cannot_be_asked_for_an_unknown_id_waits_for_the_list(asked):
    """Topics have no request for one."""
    kept = KeptNames("/agents", GladlyLimits(), asked.read)
    kept.name_of("a")
    asked.names["c"] = "Cem"
    assert kept.name_of("c") is None
    assert asked.asked == ["all"]


def test_an_old_list_is_read_again_for_an_unknown_id(asked):
    """Here after no time at all."""
    kept = KeptNames("/agents", GladlyLimits(names_unknown_s=0.0), asked.read)
    kept.name_of("a")
    asked.names["c"] = "Cem"
    assert kept.name_of("c") == "Cem"
    assert kept.name_of("a") == "Ana"
    assert asked.asked == ["all", "all"]


def test_a_list_that_is_no_longer_fresh_is_read_again(asked):
    """A name may have changed."""
    kept = KeptNames("/agents", GladlyLimits(names_fresh_s=0.0), asked.read)
    assert kept.name_of("a") == "Ana"
    asked.names["a"] = "Anna"
    assert kept.name_of("a") == "Anna"
