"""The questions of `init`: each answer is checked at once, and a wrong one costs no other."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from sandbox import Sandbox
from support.dialogue import dialogue
from sync.settings.loading import load

SHIPPED = Path(__file__).parents[3] / "config.toml"


@pytest.fixture(scope="module")
def world():
    """A Gladly and a Segment that refuses a wrong key."""
    with Sandbox(wrong_keys="refused") as running:
        yield running


@pytest.fixture
def plain():
    """The environment of a person who has set nothing yet."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("GLADLY_", "SEGMENT_"))}


@pytest.fixture
def asked(tmp_path, plain):
    """Start `init` at a terminal."""

    def begin(*arguments, **environment):
        return dialogue(*arguments, "init", directory=tmp_path, environment=plain | environment)

    return begin


def answer_all(talk, world, *, gladly=None, username=None, token=None, region=None, key=None):
    """Answer every question with what the sandbox accepts, or with what is given instead."""
    talk.answer("Gladly organization", gladly or world.gladly_url)
    talk.answer("E-mail of the Gladly agent", username or world.gladly.username)
    talk.answer("API token", token or world.gladly.api_token)
    talk.answer("Region (us or eu)", region or world.segment_url)
    talk.answer("Write key", key or world.segment.write_key)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_answers_make_an_installation_that_works(asked, world, tmp_path, plain, bare):
    """config.toml, and a file for each secret that only its owner can read; the first cycle needs no more."""
    with asked() as talk:
        answer_all(talk, world)
        assert talk.end() == 0
    assert "python" in talk.said.splitlines()[-1]
    config = load(str(tmp_path / "config.toml"))
    assert (config.settings.gladly.url, config.settings.segment.url) == (world.gladly_url, world.segment_url)
    assert (config.secrets.api_token, config.secrets.write_key) == (
        world.gladly.api_token,
        world.segment.write_key,
    )
    assert [mode_of(tmp_path / file) for file in ("gladly-api-token", "segment-write-key")] == [0o600, 0o600]
    assert world.gladly.api_token not in talk.said + (tmp_path / "config.toml").read_text()
    assert "debug" not in talk.said
    with dialogue("once", directory=tmp_path, environment=plain) as cycle:
        assert cycle.end() == 0
    assert "Nothing yet: watching since" in cycle.said


def test_a_wrong_answer_costs_no_other(asked, world):
    """Each is found wrong at once, by Gladly, Segment or its form, and asked for again alone."""
    with asked() as talk:
        talk.answer("Gladly organization", "not one")
        talk.hear("is not an organization")
        talk.answer("Gladly organization", "http://127.0.0.1:1")
        talk.hear("Correct the answer, or keep it with Enter.")
        talk.answer("Gladly organization", world.gladly_url)
        talk.answer("E-mail of the Gladly agent", "nobody")
        talk.hear("is not an e-mail address")
        talk.answer("E-mail of the Gladly agent", world.gladly.username)
        talk.answer("API token", '"quoted"')
        talk.hear("is in quotes")
        talk.answer("API token", "wrong")
        talk.hear("GLADLY_API_TOKEN")
        talk.answer(f"[{world.gladly.username}]", "")
        talk.answer("API token", world.gladly.api_token)
        talk.hear("accepts the API token")
        talk.answer("Region (us or eu)", "mars")
        talk.hear("is not a region")
        talk.answer("Region (us or eu)", world.segment_url)
        talk.answer("Write key", "wrong")
        talk.hear("SEGMENT_WRITE_KEY")
        talk.answer(f"[{world.segment_url}]", "")
        talk.answer("Write key", world.segment.write_key)
        assert talk.end() == 0


def test_what_cannot_be_checked_now_can_be_kept(asked, world, tmp_path, bare):
    """Enter keeps an answer, so that nobody is stuck while an end is down."""
    with asked() as talk:
        talk.answer("Gladly organization", "http://127.0.0.1:1")
        talk.answer("[http://127.0.0.1:1]", "")
        talk.answer("E-mail of the Gladly agent", "a@example.com")
        talk.answer("API token", "token")
        talk.answer("[a@example.com]", "")
        talk.answer("API token", "")
        talk.answer("Region (us or eu)", world.segment_url)
        talk.answer("Write key", world.segment.write_key)
        assert talk.end() == 0
    assert load(str(tmp_path / "config.toml")).settings.gladly.url == "http://127.0.0.1:1"


def test_the_region_has_no_default_and_says_what_it_decides(asked, world):
    """Segment drops silently what comes to the wrong one."""
    with asked() as talk:
        talk.answer("Gladly organization", world.gladly_url)
        talk.answer("E-mail of the Gladly agent", world.gladly.username)
        talk.answer("API token", world.gladly.api_token)
        talk.hear("In the wrong region, Segment also answers 200, and drops the events.")
        talk.answer("Region (us or eu), or the address of another receiver:", "")
        talk.answer("Region (us or eu), or the address of another receiver:", world.segment_url)
        talk.answer("Write key", world.segment.write_key)
        assert talk.end() == 0


def test_the_public_api_proves_the_write_key(asked, world):
    """Where its address is known, a token is asked for, which Enter leaves out."""
    url = {"GLADLY_SEGMENT_SEGMENT__PUBLIC_API_URL": world.public_api_url}
    with asked(**url) as talk:
        answer_all(talk, world)
        talk.answer("Token for the Public API", "wrong")
        talk.hear("Correct the answer that is wrong.")
        talk.answer(f"[{world.segment_url}]", "")
        talk.answer("Write key", "")
        talk.answer("Token for the Public API", world.segment.public_api_token)
        talk.hear("belongs to the enabled source")
        assert talk.end() == 0


def test_the_untouched_example_is_filled_in_place(asked, world, tmp_path):
    """As it lies in a clone. Its comments stay; a file with something of a person's in it is left alone."""
    shutil.copy(SHIPPED, tmp_path / "config.toml")
    with asked() as talk:
        answer_all(talk, world)
        assert talk.end() == 0
    text = (tmp_path / "config.toml").read_text()
    assert f'base_url = "{world.gladly_url}"' in text
    assert "# how often a cycle runs" in text
    with asked() as talk:
        talk.hear("exists already. Add --force to replace it.")
        assert talk.end() == 2
    assert (tmp_path / "config.toml").read_text() == text


def test_config_says_where_and_variables_hold_secrets(asked, world, tmp_path):
    """A directory that is missing is made. A secret that its variable holds is not asked for."""
    place = tmp_path / "of my own" / "config.toml"
    secrets = {"GLADLY_API_TOKEN": world.gladly.api_token, "SEGMENT_WRITE_KEY": world.segment.write_key}
    with asked("--config", str(place), **secrets) as talk:
        talk.answer("Gladly organization", world.gladly_url)
        talk.answer("E-mail of the Gladly agent", world.gladly.username)
        talk.hear("taken from the variable GLADLY_API_TOKEN")
        talk.answer("Region (us or eu)", world.segment_url)
        assert talk.end() == 0
    assert [file.name for file in place.parent.iterdir()] == ["config.toml"]
    assert f"--config '{place}' check" in talk.said
    assert not (tmp_path / "config.toml").exists()
