"""The config.toml that is shipped, and that `init` begins with."""

import re
from pathlib import Path

import pytest

from sync.settings.loading import load
from sync.settings.sections import Settings

SHIPPED = Path(__file__).parents[2] / "config.toml"


def test_the_config_we_ship_is_valid():
    """Filling in one's own organization is all that is left to do."""
    load(str(SHIPPED))


@pytest.mark.parametrize("section", Settings._fields)
def test_the_config_we_ship_names_every_setting(section):
    """In force or commented out, each in its section: the file is the reference people read."""
    part = re.search(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", SHIPPED.read_text(), re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"^(?:# *)?(\w+) *=", part[1], re.MULTILINE))
    assert set(getattr(Settings(), section)._fields) - named == set()
