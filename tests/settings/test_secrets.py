"""Secrets: from the environment or from files of their own, and repeated by no message (semantics 5.4)."""

import re

import pytest

from support.config_samples import CANARY, SECRETS, WHO
from sync.settings.loading import load

# A heartbeat's address, which is a secret.
URL = "https://monitor.example.com/ping/canary"


@pytest.mark.parametrize(
    ("key", "section", "variable"),
    [
        ("api_token", "gladly", "GLADLY_API_TOKEN"),
        ("write_key", "segment", "SEGMENT_WRITE_KEY"),
        ("public_api_token", "segment", "SEGMENT_PUBLIC_API_TOKEN"),
    ],
)
def test_a_secret_in_the_file_is_refused_with_the_way_to_give_it(mistakes, key, section, variable):
    """It would be copied, committed and backed up with the file; the message does not repeat it."""
    text = WHO + (f'{key} = "{CANARY}"\n' if section == "gladly" else f'[{section}]\n{key} = "{CANARY}"\n')
    (said,) = mistakes(text)
    assert f"{section}.{key} does not belong in this file" in said
    assert f"the variable {variable}" in said
    assert f"{section}.{key}_file" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    "text",
    [
        f'[[gladly]]\napi_token = "{CANARY}"\n',
        f'[gladly.api_token]\nvalue = "{CANARY}"\n',
        f'[gladly]\ntoken = "{CANARY}"\n',
        f'[gladly]\npassword = ["{CANARY}"]\n',
        f'api_token = "{CANARY}"\n',
        f'gladly = ["{CANARY}"]\n',
        f'[segment]\nwriteKey = "{CANARY}"\n',
    ],
)
def test_a_secret_given_in_another_wrong_way_is_not_repeated_either(mistakes, text):
    """Whatever is wrong with it, no message holds what may be a secret."""
    assert CANARY not in " ".join(mistakes(text))


@pytest.mark.parametrize(
    "variable", ["GLADLY_SEGMENT_GLADLY__API_TOKEN", "GLADLY_SEGMENT_SEGMENT__WRITE_KEY"]
)
def test_a_secret_in_the_wrong_variable_is_refused_and_not_repeated(command, tmp_path, variable):
    """The variables of secrets have names of their own."""
    (tmp_path / "config.toml").write_text(WHO)
    ended = command("once", **{variable: CANARY})
    assert ended.code == 2
    assert CANARY not in ended.out + ended.err


def test_missing_secrets_are_both_named_with_the_ways_to_give_them(mistakes, bare):
    """One message a secret, each with its variable and its file."""
    for name in SECRETS:
        bare.delenv(name)
    token, key = mistakes(WHO)
    assert all(way in token for way in ("GLADLY_API_TOKEN", "gladly.api_token_file"))
    assert all(way in key for way in ("SEGMENT_WRITE_KEY", "segment.write_key_file"))


def test_a_command_that_only_looks_needs_no_secret(settings, bare):
    """`status` is asked by those who have no business with the token."""
    for name in SECRETS:
        bare.delenv(name)
    assert settings("", with_secrets=False).secrets.api_token == ""


def test_secrets_are_read_from_files_beside_the_config(bare, tmp_path):
    """Named relative to the config file, wherever the command is given; line ends do not belong to them."""
    for name in SECRETS:
        bare.delenv(name)
    there = tmp_path / "etc"
    there.mkdir()
    (there / "token").write_text("from-a-file\n")
    (tmp_path / "key").write_text("  also-from-a-file\r\n")
    text = WHO + f'api_token_file = "token"\n[segment]\nwrite_key_file = "{tmp_path / "key"}"\n'
    (there / "config.toml").write_text(text)
    secrets = load("etc/config.toml").secrets
    assert (secrets.api_token, secrets.write_key) == ("from-a-file", "also-from-a-file")


def test_the_token_for_the_public_api_is_optional(settings, bare, tmp_path):
    """Without the variable and the file there is none. The variable wins over the file."""
    assert settings(WHO).secrets.public_api_token is None
    (tmp_path / "token").write_text("from-a-file\n")
    text = WHO + '[segment]\npublic_api_token_file = "token"\n'
    assert settings(text).secrets.public_api_token == "from-a-file"
    bare.setenv("SEGMENT_PUBLIC_API_TOKEN", "from-the-variable")
    assert settings(text).secrets.public_api_token == "from-the-variable"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read"), ("", "is empty"), ('"quoted-canary"', "is in quotes")],
    ids=["no file", "empty", "in quotes"],
)
def test_a_file_without_the_token_for_the_public_api_is_a_mistake(mistakes, tmp_path, content, why):
    """Who names a file wants the proof. What the file holds is not repeated."""
    if content is not None:
        (tmp_path / "token").write_text(content)
    (said,) = mistakes(WHO + '[segment]\npublic_api_token_file = "token"\n')
    assert "segment.public_api_token_file" in said
    assert why in said
    assert "canary" not in said


def test_a_secret_of_the_environment_wins_over_its_file(settings, tmp_path):
    """As every variable does; the file need not even be there."""
    config = settings(WHO + 'api_token_file = "nowhere"\n')
    assert config.secrets.api_token == SECRETS["GLADLY_API_TOKEN"]


def test_the_environment_wins_over_the_file_and_over_the_file_named(settings, monkeypatch):
    """As for every setting."""
    monkeypatch.setenv("GLADLY_SEGMENT_METRICS__LISTEN", "1234")
    monkeypatch.setenv("GLADLY_SEGMENT_HEARTBEAT__URL", URL)
    config = settings(WHO + '[metrics]\nlisten = 9464\n[heartbeat]\nurl_file = "missing"\n')
    assert config.settings.metrics.address == ("127.0.0.1", 1234)
    assert config.secrets.heartbeat_url == URL


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, r"cannot be read \(No such file or directory\)", id="no file"),
        pytest.param(b"", "token is empty. Write Gladly's API token to it", id="an empty file"),
        pytest.param(b"\xff\xfe", "cannot be read", id="not text"),
        pytest.param(f"two {CANARY}".encode(), "contains a space or a line break", id="two words"),
        pytest.param(f"two\n{CANARY}".encode(), "contains a space or a line break", id="two lines"),
    ],
)
def test_a_file_that_holds_no_secret_is_named(mistakes, bare, tmp_path, content, why):
    """With what is wrong, and nothing of what it holds."""
    bare.delenv("GLADLY_API_TOKEN")
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    (said,) = mistakes(WHO + 'api_token_file = "token"\n')
    assert "gladly.api_token_file" in said
    assert re.search(why, said)
    assert CANARY not in said


@pytest.mark.parametrize("way", ["the variable", "the file"])
@pytest.mark.parametrize(
    ("written", "why"),
    [
        (f'"{CANARY}"', "is in quotes"),
        (f"'{CANARY}'", "is in quotes"),
        (f"\u201c{CANARY}\u201d", "is in quotes"),
        (f'{CANARY}"', "is in quotes"),
        (f"\ufeff'{CANARY}'", "is in quotes"),
        (f"GLADLY_API_TOKEN={CANARY}", "begins with a name and an equals sign"),
        (f'export GLADLY_API_TOKEN="{CANARY}"', "begins with a name"),
        (f"api_token = {CANARY}", "begins with a name"),
        (f"\ufeffGLADLY_API_TOKEN={CANARY}\r\n", "begins with a name"),
        (f"GLADLY_API_TOKEN={CANARY}\nSEGMENT_WRITE_KEY={CANARY}", "begins with a name"),
        (f"${{{CANARY}}}", "is a placeholder"),
        ("$GLADLY_API_TOKEN", "is a placeholder"),
        (f"<{CANARY}>", "is a placeholder"),
        (f"\u2026{CANARY}", "contains a character that no key has"),
        (f"{CANARY}\u200b", "contains a character that no key has"),
        (f"caf\u00e9{CANARY}", "contains a character that no key has"),
        (f"{CANARY}\u00a0{CANARY}", "contains a space or a line break"),
    ],
)
def test_a_secret_with_something_around_it_is_refused(mistakes, bare, tmp_path, written, why, way):
    """The sentence names where it stands and what is wrong, and repeats nothing of it (faults H3.5)."""
    if way == "the variable":
        bare.setenv("GLADLY_API_TOKEN", written)
    else:
        bare.delenv("GLADLY_API_TOKEN")
        (tmp_path / "token").write_text(written, encoding="utf-8")
    (said,) = mistakes(WHO + 'api_token_file = "token"\n')
    places = {"the variable": "GLADLY_API_TOKEN", "the file": "gladly.api_token_file"}
    assert [place for place in places.values() if place in said] == [places[way]]
    assert why in said
    assert CANARY not in said


@pytest.mark.parametrize("way", ["the variable", "the file"])
@pytest.mark.parametrize(
    "written",
    [f"\ufeff{CANARY}", f"\ufeff {CANARY}\r\n", f"\u00a0{CANARY}\t", f" \ufeff\n{CANARY}\n\n"],
    ids=ascii,
)
def test_what_surrounds_a_secret_unseen_does_not_belong_to_it(settings, bare, tmp_path, written, way):
    """An editor may write a byte order mark, and a shell a line end (faults H3.5)."""
    if way == "the variable":
        bare.setenv("GLADLY_API_TOKEN", written)
    else:
        bare.delenv("GLADLY_API_TOKEN")
        (tmp_path / "token").write_text(written, encoding="utf-8", newline="")
    assert settings(WHO + 'api_token_file = "token"\n').secrets.api_token == CANARY


@pytest.mark.parametrize("token", ["YWJjZA==", "YWI=", "a-b_c.d~e", "x" * 32, "abc:def", "{abc}", "$5+2=7"])
def test_a_key_of_any_form_is_taken(settings, bare, token):
    """Nobody says how Gladly's tokens look, and other receivers have keys of their own."""
    bare.setenv("GLADLY_API_TOKEN", token)
    assert settings(WHO).secrets.api_token == token


def test_a_byte_order_mark_does_not_belong_to_the_heartbeats_url(settings, tmp_path):
    """The file of the URL is read as the files of secrets are (faults H3.5)."""
    (tmp_path / "url").write_text(f"\ufeff{URL}\n", encoding="utf-8")
    assert settings(WHO + '[heartbeat]\nurl_file = "url"\n').secrets.heartbeat_url == URL


def test_secrets_do_not_show_when_settings_are_printed(settings):
    """Whoever prints or logs the settings prints no secret."""
    config = settings(WHO)
    assert not any(secret in f"{config!r} {config}" for secret in SECRETS.values())


def test_the_settings_do_not_show_the_heartbeats_url(settings):
    """Whoever prints them."""
    config = settings(WHO + f'[heartbeat]\nurl = "{URL}"\n')
    assert config.secrets.heartbeat_url == URL
    assert "canary" not in repr(config)


@pytest.mark.parametrize("value", ["5", "true", '["token"]'])
def test_what_names_no_file_is_a_mistake_like_any_other(command, bare, tmp_path, value):
    """Exit 2 and a sentence, also where the secret would have to come from there."""
    bare.delenv("GLADLY_API_TOKEN")
    (tmp_path / "config.toml").write_text(f"{WHO}api_token_file = {value}\n")
    ended = command("once")
    assert ended.code == 2
    assert "gladly.api_token_file" in ended.err
    assert "Unexpected" not in ended.err
