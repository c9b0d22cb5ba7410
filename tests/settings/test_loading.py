"""Loading: config.toml and the environment together, and every mistake in them at once (interface 3)."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from support.config_samples import WHO
from sync.settings.loading import load

# --- every mistake at once ------------------------------------------------------------------------------


def test_five_mistakes_are_five_sentences(command, tmp_path):
    """A person mends them all in one go: exit 2, and each on a line of its own on standard error."""
    (tmp_path / "config.toml").write_text(
        """
        [gladly]
        organisation = "acme"
        username = "sync@example.com"
        [segment]
        region = "mars"
        [sync]
        every = "now and then"
        [log]
        level = "loud"
        """
    )
    ended = command("once")
    assert (ended.code, ended.out) == (2, "")
    for said in (
        "gladly.organisation is not a setting. The settings of [gladly] are organization, base_url, username",
        "gladly.organization is missing",
        "segment.region is 'mars'; it must be 'us' or 'eu'",
        "sync.every: 'now and then' is not a duration; write it like 90s, 15m, 36h or 7d",
        "log.level is 'loud'; it must be 'debug', 'info', 'warning' or 'error'",
    ):
        assert said in ended.err
    lines = ended.err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("error: config.toml: ") for line in lines)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param(
            'overlap = "10s"\nstart = "soon"', ["overlap", "start"], id="a value and a short overlap"
        ),
        pytest.param(
            'overlap = "10s"\nevery = "1m"\ncron = "* * * * *"',
            ["overlap", "cron"],
            id="a short overlap and two schedules",
        ),
        pytest.param(
            'every = "1m"\ncron = "* * * * *"\nreopend = true',
            ["cron", "reopend"],
            id="two schedules and a slip",
        ),
    ],
)
def test_no_mistake_hides_another_of_its_section(mistakes, text, keys):
    """Rules about several settings are looked at also where one of them is wrong."""
    said = " ".join(mistakes(f"{WHO}[sync]\n{text}\n"))
    assert [key for key in keys if f"sync.{key}" not in said] == []


def test_a_mistake_hides_no_setting_of_the_environment(mistakes, bare):
    """What the environment says is not called missing because the file has a mistake."""
    bare.setenv("GLADLY_SEGMENT_GLADLY__ORGANIZATION", "acme")
    bare.setenv("GLADLY_SEGMENT_GLADLY__USERNAME", "sync@example.com")
    said = mistakes('[sync]\nevery = "often"\n')
    assert [sentence for sentence in said if "sync.every" not in sentence] == []


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[gladly]\norganisation = "acme"', "gladly.organisation"),
        ('[segment]\nkey = "k"', "segment.key"),
        ("[sync]\ninterval = 5", "sync.interval"),
        ('[state]\nfile = "x.db"', "state.file"),
        ("[log]\ncolour = true", "log.colour"),
        ("[gladley]\n", "gladley"),
        ("every = 5", "every"),
    ],
)
def test_an_unknown_key_is_named_with_those_that_are_known(mistakes, text, key):
    """A slip of the pen is not silently the default."""
    slip = [
        sentence
        for sentence in mistakes(text)
        if re.search(rf"{key} is not a (setting|section)\. The \1s .*are ", sentence)
    ]
    assert len(slip) == 1


def test_two_schedules_are_one_too_many(mistakes):
    """`every` or `cron`: nobody has to guess which one wins."""
    said = mistakes(WHO + '[sync]\nevery = "60s"\ncron = "*/5 * * * *"\n')
    assert said == ["config.toml: sync.cron: set either sync.every or sync.cron, not both."]


# --- the environment ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "section", "key", "expected"),
    [
        ("GLADLY_SEGMENT_GLADLY__ORGANIZATION", "other", "gladly", "organization", "other"),
        ("GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND", "2.5", "gladly", "requests_per_second", 2.5),
        ("GLADLY_SEGMENT_SEGMENT__REGION", "eu", "segment", "region", "eu"),
        ("GLADLY_SEGMENT_SYNC__EVERY", "30s", "sync", "every", timedelta(seconds=30)),
        ("GLADLY_SEGMENT_SYNC__REOPENED", "true", "sync", "reopened", True),
        ("GLADLY_SEGMENT_STATE__PATH", "other.db", "state", "path", Path("other.db")),
        ("GLADLY_SEGMENT_LOG__LEVEL", "debug", "log", "level", "debug"),
    ],
)
def test_the_environment_wins_over_the_file(settings, bare, variable, value, section, key, expected):
    """Every setting can be given by a variable instead, sections joined by two underscores."""
    text = WHO + '[segment]\nregion = "us"\n[sync]\nevery = "5m"\nreopened = false\n'
    text += '[state]\npath = "state.db"\n[log]\nlevel = "error"\n'
    bare.setenv(variable, value)
    assert getattr(getattr(settings(text).settings, section), key) == expected


def test_the_environment_alone_is_enough(bare):
    """Without a file: containers have none."""
    bare.setenv("GLADLY_SEGMENT_GLADLY__ORGANIZATION", "acme")
    bare.setenv("GLADLY_SEGMENT_GLADLY__USERNAME", "sync@example.com")
    assert load(None).settings.gladly.url == "https://acme.gladly.com"


@pytest.mark.parametrize(
    ("text", "variable", "value", "schedule"),
    [
        pytest.param(
            '[sync]\nevery = "60s"\n', "CRON", "*/5 * * * *", "*/5 * * * *", id="a cron line over an interval"
        ),
        pytest.param(
            '[sync]\ncron = "*/5 * * * *"\n', "EVERY", "30s", None, id="an interval over a cron line"
        ),
    ],
)
def test_a_schedule_of_the_environment_wins_over_one_of_the_file(
    settings, bare, text, variable, value, schedule
):
    """Also where it is given the other way."""
    bare.setenv(f"GLADLY_SEGMENT_SYNC__{variable}", value)
    assert settings(WHO + text).settings.sync.cron == schedule


def test_what_the_sandbox_says_to_export_works_beside_a_config(settings, bare):
    """A filled-in config.toml in the working directory is no obstacle to trying things out."""
    bare.setenv("GLADLY_SEGMENT_GLADLY__BASE_URL", "http://127.0.0.1:8410")
    assert settings(WHO).settings.gladly.url == "http://127.0.0.1:8410"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GLADLY_SEGMENT_SYNC__EVERY", "often", ": 'often' is not a duration"),
        ("GLADLY_SEGMENT_SEGMENT__REGION", "mars", " is 'mars'; it must be 'us' or 'eu'"),
        ("GLADLY_SEGMENT_SYNC__EVRY", "30s", " is not a setting. The settings of [sync] are every"),
        ("GLADLY_SEGMENT_SYNK__EVERY", "30s", " names no section"),
        ("GLADLY_SEGMENT_SYNC", "often", " names a section and no key"),
        ("GLADLY_SEGMENT_SYNC__EVERY__X", "30s", " is not a setting"),
        ("GLADLY_SEGMENT_GLADLY__API_TOKEN_FILE", "nowhere", ": nowhere cannot be read"),
        ("GLADLY_SEGMENT_HEARTBEAT__URL_FILE", "nowhere", ": nowhere cannot be read"),
    ],
)
def test_a_mistake_in_the_environment_is_blamed_on_the_environment(
    command, bare, tmp_path, variable, value, said
):
    """Exit 2. The sentence begins with the variable, and does not name config.toml."""
    (tmp_path / "config.toml").write_text(WHO)
    bare.delenv("GLADLY_API_TOKEN")
    ended = command("once", **{variable: value})
    blamed = [line for line in ended.err.splitlines() if variable in line]
    assert (ended.code, len(blamed)) == (2, 1)
    assert blamed[0].startswith(f"error: The variable {variable}{said}")


def test_a_mistake_in_both_is_blamed_on_each(mistakes, bare):
    """The file's mistakes name the file, as before."""
    bare.setenv("GLADLY_SEGMENT_LOG__LEVEL", "loud")
    of_the_file, of_the_variable = sorted(mistakes(WHO + '[sync]\nevery = "often"\n'), reverse=True)
    assert of_the_file.startswith("config.toml: sync.every: ")
    assert of_the_variable.startswith("The variable GLADLY_SEGMENT_LOG__LEVEL is 'loud'")


def test_an_empty_variable_is_not_set(settings, bare):
    """As a compose file leaves them."""
    bare.setenv("GLADLY_SEGMENT_SYNC__EVERY", "")
    assert settings(WHO).settings.sync.every == timedelta(seconds=60)


# --- which file -----------------------------------------------------------------------------------------


def test_the_file_is_found_by_option_then_variable_then_here(command, bare, tmp_path):
    """`--config`, else `$GLADLY_SEGMENT_CONFIG`, else `config.toml` in the working directory."""
    for name in ("option", "variable", "config"):
        (tmp_path / f"{name}.toml").write_text(f"[from_{name}]\n")

    def read(*arguments, **environment):
        return re.findall(r"from_\w+", command(*arguments, "status", **environment).err)

    assert read() == ["from_config"]
    assert read(GLADLY_SEGMENT_CONFIG="variable.toml") == ["from_variable"]
    assert read("--config", "option.toml", GLADLY_SEGMENT_CONFIG="variable.toml") == ["from_option"]


def test_a_file_that_was_named_has_to_be_there(command):
    """By option or variable: exit 2, and its name."""
    for ended, said in (
        (command("--config", "nowhere.toml", "status"), "nowhere.toml does not exist"),
        (
            command("status", GLADLY_SEGMENT_CONFIG="nowhere.toml"),
            "The variable GLADLY_SEGMENT_CONFIG names nowhere.toml, which does not exist",
        ),
    ):
        assert ended.code == 2
        assert said in ended.err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"[gladly\norganization = 1", r"is not TOML: .*line 1", id="a bracket forgotten"),
        pytest.param(b"[gladly]\n[gladly]\n", r"is not TOML: .*line 2", id="a section twice"),
        pytest.param(b'{"gladly": {}}', "is not TOML", id="JSON"),
        pytest.param(b"# \xff\xfe", "is not TOML", id="not UTF-8"),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_the_place(command, tmp_path, content, why):
    """Exit 2, the file's name and the line."""
    (tmp_path / "config.toml").write_bytes(content)
    ended = command("status")
    assert ended.code == 2
    assert re.search(why, ended.err)


def test_a_directory_is_no_config(command, tmp_path):
    """It is said to be unreadable."""
    (tmp_path / "config.toml").mkdir()
    ended = command("status")
    assert ended.code == 2
    assert "config.toml cannot be read" in ended.err
