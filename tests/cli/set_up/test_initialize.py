"""`init` without a terminal; its questions are in test_questions.py."""

import pytest

from sync.settings.loading import load

ASKED = (
    "--organization",
    "https://acme.us-1.gladly.com/",
    "--username",
    "sync@example.com",
    "--region",
    "eu",
)


def test_init_writes_a_config_that_is_valid_and_commented(installation, tmp_path, monkeypatch):
    """The example with the answers in it; the secrets are not asked for."""
    done = installation.run("init", *ASKED)
    assert done.returncode == 0
    text = (tmp_path / "config.toml").read_text()
    assert "# " in text
    monkeypatch.setenv("GLADLY_API_TOKEN", "t")
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "k")
    settings = load(str(tmp_path / "config.toml")).settings
    assert (settings.gladly.url, settings.segment.region) == ("https://acme.us-1.gladly.com", "eu")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param((), "--organization", id="nobody to ask"),
        pytest.param((*ASKED[:3], "nobody", *ASKED[4:]), "not an e-mail", id="a user name that is none"),
        pytest.param((ASKED[0], "not one", *ASKED[2:]), "is not an organization", id="no organization"),
    ],
)
def test_init_writes_nothing_from_answers_that_cannot_be_right(installation, tmp_path, arguments, says):
    """It says so, with exit 2."""
    done = installation.run("init", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "config.toml").exists()


def test_init_replaces_a_file_only_when_told(installation, tmp_path):
    """What a person wrote stays."""
    (tmp_path / "config.toml").write_text("# mine\n")
    refused = installation.run("init", *ASKED)
    assert (refused.returncode, (tmp_path / "config.toml").read_text()) == (2, "# mine\n")
    assert installation.run("init", "--force", *ASKED).returncode == 0
    assert "acme.us-1" in (tmp_path / "config.toml").read_text()
