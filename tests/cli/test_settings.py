"""Settings (interface 3): config.toml and the environment, and every mistake in them named at once."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from sync.errors import SettingsError
from sync.events.options import AS_GLADLY, EventOptions
from sync.settings.loading import load
from sync.settings.sections import Settings
from sync.settings.values import organization_of

SECRETS = {"GLADLY_API_TOKEN": "token-canary", "SEGMENT_WRITE_KEY": "key-canary"}
WHO = '[gladly]\norganization = "acme"\nusername = "sync@example.com"\n'
CANARY = "hunter2-canary"


@pytest.fixture(autouse=True)
def _bare(bare):
    for name, value in SECRETS.items():
        bare.setenv(name, value)


@pytest.fixture
def settings(tmp_path):
    """Load a config.toml with this text."""

    def read(text, *, file="config.toml", **more):
        (tmp_path / file).write_text(text)
        return load(file, **more)

    return read


@pytest.fixture
def mistakes(settings):
    """What is said about a config.toml with this text."""

    def read(text):
        with pytest.raises(SettingsError) as refused:
            settings(text)
        return list(refused.value.mistakes)

    return read


# --- what holds where nothing is said -------------------------------------------------------------------


def test_what_has_to_be_said_is_little(settings):
    """An organization and a user name; everything else is as interface 3 says."""
    config = settings(WHO)
    gladly, segment, sync, state, log = (
        getattr(config.settings, name) for name in ("gladly", "segment", "sync", "state", "log")
    )
    assert (gladly.url, gladly.requests_per_second) == ("https://acme.gladly.com", 7)
    assert (segment.region, segment.url, segment.gzip) == ("us", "https://api.segment.io", False)
    assert (sync.every, sync.cron, sync.start) == (timedelta(seconds=60), None, "now")
    assert (sync.overlap, sync.closed_timestamp, sync.reopened) == (timedelta(seconds=60), "created", False)
    assert (state.path, state.retention) == (Path("gladly-segment.db"), timedelta(days=30))
    assert (log.level, log.format) == ("info", "auto")
    assert config.event_options == AS_GLADLY


def test_the_european_region_is_another_host(settings):
    """Segment silently drops events sent to the wrong one."""
    config = settings(WHO + '[segment]\nregion = "eu"\n')
    assert config.settings.segment.url == "https://events.eu1.segmentapis.com"


def test_everything_can_be_said(settings):
    """The file of interface 3, with other values than the usual ones."""
    config = settings(
        """
        [gladly]
        base_url = "https://acme.example.com/"
        username = "sync@example.com"
        requests_per_second = 0.5
        [segment]
        base_url = "https://segment.example.com/v1"
        [sync]
        cron = "*/5 * * * *"
        start = "36h"
        overlap = "2m"
        closed_timestamp = "closed"
        reopened = true
        [properties]
        add = ["closedAt"]
        leave_out = ["phone", "topicIds"]
        hash = ["email"]
        [state]
        path = "/var/lib/sync/state.db"
        retention = "7d"
        [log]
        level = "debug"
        format = "json"
        """
    )
    read = config.settings
    assert (read.gladly.url, read.gladly.requests_per_second) == ("https://acme.example.com", 0.5)
    assert read.segment.url == "https://segment.example.com"
    assert (read.sync.cron, read.sync.start, read.sync.overlap) == (
        "*/5 * * * *",
        "36h",
        timedelta(minutes=2),
    )
    assert (read.sync.closed_timestamp, read.sync.reopened) == ("closed", True)
    assert read.properties == (("closedAt",), ("phone", "topicIds"), ("email",))
    assert config.event_options == EventOptions(
        "closed", True, ("closedAt",), ("phone", "topicIds"), ("email",)
    )
    assert (config.state_path, read.state.retention) == (Path("/var/lib/sync/state.db"), timedelta(days=7))
    assert (read.log.level, read.log.format) == ("debug", "json")


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


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("[gladly]\norganization = 5", "gladly.organization", "text in quotes"),
        ("[gladly]\nusername = true", "gladly.username", "text in quotes"),
        ("[gladly]\napi_token_file = 5", "gladly.api_token_file", "a path in quotes"),
        ("[gladly]\nrequests_per_second = 'fast'", "gladly.requests_per_second", "a number"),
        ("[gladly]\nrequests_per_second = true", "gladly.requests_per_second", "a number"),
        ("[gladly]\nrequests_per_second = 0", "gladly.requests_per_second", "a number above 0"),
        ("[gladly]\nrequests_per_second = -1.5", "gladly.requests_per_second", "a number above 0"),
        ("[gladly]\nrequests_per_second = inf", "gladly.requests_per_second", "a number"),
        ("[segment]\nregion = 'EU'", "segment.region", "'us' or 'eu'"),
        ("[segment]\nregion = ['us']", "segment.region", "'us' or 'eu'"),
        ("[sync]\nevery = '5 parsecs'", "sync.every", "90s, 15m, 36h or 7d"),
        ("[sync]\nevery = []", "sync.every", "90s, 15m, 36h"),
        ("[sync]\nevery = 60", "sync.every", "90s, 15m, 36h"),
        ("[sync]\nevery = '0s'", "sync.every", "longer than 0s"),
        ("[sync]\noverlap = '29s'", "sync.overlap", "at least 30s"),
        ("[sync]\nstart = 'yesterday'", "sync.start", 'an age: 15m, 36h, 7d, or "now"'),
        ("[sync]\ncron = '* * *'", "sync.cron", 'a cron expression of five fields like "*/5 * * * *"'),
        ("[sync]\ncron = '99 * * * *'", "sync.cron", 'a cron expression of five fields like "*/5 * * * *"'),
        ("[sync]\ncron = 5", "sync.cron", "text in quotes"),
        ("[sync]\nclosed_timestamp = 'open'", "sync.closed_timestamp", "'created' or 'closed'"),
        ("[sync]\nreopened = 'perhaps'", "sync.reopened", "true or false"),
        ("[properties]\nadd = ['mood']", "properties.add", "a list of some of: createdAt, closedAt"),
        ("[properties]\nleave_out = 5", "properties.leave_out", "a list of some of: agentId, agentName"),
        (
            "[properties]\nleave_out = ['conversationId']",
            "properties.leave_out",
            "a list of some of: agentId",
        ),
        ("[properties]\nhash = [['email']]", "properties.hash", "a list of some of: email, phone"),
        ("[properties]\nhash = 'name'", "properties.hash", "a list of some of: email, phone"),
        ("[state]\npath = 4", "state.path", "a path in quotes"),
        ("[state]\nretention = 'for ever'", "state.retention", "90s, 15m, 36h or 7d"),
        ("[log]\nlevel = 3", "log.level", "'debug', 'info', 'warning' or 'error'"),
        ("[log]\nformat = 'xml'", "log.format", "'auto', 'console' or 'json'"),
        ("sync = 'often'", "sync", "a section of its own"),
        ("log = 5", "log", "a section of its own"),
        ("[[state]]\npath = 'x.db'", "state", "a section of its own"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(mistakes, text, key, allowed):
    """The key, and what may stand there."""
    said = [sentence for sentence in mistakes(text) if re.search(rf"\b{re.escape(key)}\b", sentence)]
    assert len(said) == 1
    assert allowed in said[0]


def test_two_schedules_are_one_too_many(mistakes):
    """`every` or `cron`: nobody has to guess which one wins."""
    said = mistakes(WHO + '[sync]\nevery = "60s"\ncron = "*/5 * * * *"\n')
    assert said == ["config.toml: sync.cron: set either sync.every or sync.cron, not both."]


def test_an_address_wins_over_an_organization(settings):
    """Beside `organization`, `base_url` is the exception somebody made: a sandbox, a test server."""
    assert (
        settings(WHO + 'base_url = "https://acme.example.com"\n').settings.gladly.url
        == "https://acme.example.com"
    )


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
    ("variable", "value", "named"),
    [
        ("GLADLY_SEGMENT_SYNC__EVERY", "often", "sync.every"),
        ("GLADLY_SEGMENT_SYNC__EVRY", "30s", "sync.evry"),
        ("GLADLY_SEGMENT_SYNC", "often", "sync"),
        ("GLADLY_SEGMENT_SYNC__EVERY__X", "30s", "sync.every"),
    ],
)
def test_a_mistake_in_the_environment_is_named_too(command, tmp_path, variable, value, named):
    """Exit 2, and what is wrong."""
    (tmp_path / "config.toml").write_text(WHO)
    ended = command("once", **{variable: value})
    assert ended.code == 2
    assert re.search(rf"\b{named}\b|{variable}", ended.err)


def test_an_empty_variable_is_not_set(settings, bare):
    """As a compose file leaves them."""
    bare.setenv("GLADLY_SEGMENT_SYNC__EVERY", "")
    assert settings(WHO).settings.sync.every == timedelta(seconds=60)


# --- which organization ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pasted", "url"),
    [
        ("acme", "https://acme.gladly.com"),
        ("ACME", "https://acme.gladly.com"),
        (" acme ", "https://acme.gladly.com"),
        ("acme.us-1", "https://acme.us-1.gladly.com"),
        ("acme.gladly.com", "https://acme.gladly.com"),
        ("acme.gladly.com/api/v1", "https://acme.gladly.com"),
        ("https://acme.gladly.com", "https://acme.gladly.com"),
        ("https://acme.us-1.gladly.com/", "https://acme.us-1.gladly.com"),
        ("http://acme.gladly.com/home?x=1", "https://acme.gladly.com"),
        ("acme.us-uat.gladly.qa", "https://acme.us-uat.gladly.qa"),
        ("https://acme.gladly.qa/", "https://acme.gladly.qa"),
        ("a-b-1", "https://a-b-1.gladly.com"),
    ],
)
def test_an_organization_is_understood_as_people_paste_it(settings, pasted, url):
    """The name, the host or an address from the browser; always over HTTPS."""
    config = settings(f'[gladly]\norganization = "{pasted}"\nusername = "sync@example.com"\n')
    assert config.settings.gladly.url == url


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        " ",
        ".",
        "Acme Inc.",
        "acme_inc",
        "-acme",
        "acme-",
        "acme..us-1",
        "a.b.c",
        "https://",
        "https:///acme",
        ".gladly.com",
        "gladly.com",
        "acme@gladly.com",
        "acme.gladly.com:8443",
        "acme.gladly.com.evil.example",
        "https://evil.example/acme.gladly.com",
        "../../etc",
        "ácme",
        "acme%2f",
        "acme#",
        "127.0.0.1",
    ],
)
def test_what_is_no_organization_is_refused(pasted):
    """The credentials go to the host made of it: what is not plainly a name is refused with an example."""
    with pytest.raises(ValueError, match=r"acme or acme\.us-1"):
        organization_of(pasted)


def test_a_password_pasted_with_the_address_is_refused_and_not_repeated(mistakes):
    """An address with user name and password is no organization, and the password is shown nowhere."""
    said = mistakes(f'[gladly]\norganization = "https://zoe:{CANARY}@acme.gladly.com"\n')
    assert any("gladly.organization" in sentence for sentence in said)
    assert CANARY not in " ".join(said)


# --- which address --------------------------------------------------------------------------------------

SIDES = pytest.mark.parametrize("side", ["gladly", "segment"])


@pytest.fixture
def address(settings):
    """The address that this `base_url` comes to."""

    def read(side, url):
        gladly = url if side == "gladly" else "https://acme.example.com"
        segment = f'[segment]\nbase_url = "{url}"\n' if side == "segment" else ""
        config = settings(f'[gladly]\nbase_url = "{gladly}"\nusername = "sync@example.com"\n{segment}')
        return getattr(config.settings, side).url

    return read


@SIDES
@pytest.mark.parametrize(
    "url",
    [
        "https://acme.example.com",
        "https://acme.example.com:8443",
        "https://acme.example.com/behind/a/proxy",
        "http://localhost:8410",
        "http://127.0.0.1:8410",
        "http://127.8.9.10",
        "http://[::1]:8410",
    ],
)
def test_an_address_is_taken_as_it_is(address, side, url):
    """HTTPS anywhere, plain HTTP on this machine; a slash at the end makes no difference."""
    assert address(side, url) == url
    assert address(side, url + "/") == url


@pytest.mark.parametrize(
    ("side", "path"), [("gladly", "/api/v1"), ("segment", "/v1"), ("segment", "/v1/batch")]
)
def test_the_path_of_the_api_may_be_pasted_with_the_address(address, side, path):
    """It is not doubled."""
    assert address(side, "https://acme.example.com" + path) == "https://acme.example.com"


@SIDES
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://acme.example.com", "must begin with https"),
        ("http://127.evil.example", "must begin with https"),
        ("http://127.0.0.1.evil.example", "must begin with https"),
        ("http://localhost.evil.example", "must begin with https"),
        ("http://0x7f.1", "must begin with https"),
        ("http://[::2]", "must begin with https"),
        ("http://10.0.0.1", "must begin with https"),
        (f"https://zoe:{CANARY}@acme.example.com", "user name or password"),
        (f"https://{CANARY}@acme.example.com", "user name or password"),
        (f"http://127.0.0.1:{CANARY}@evil.example", "user name or password"),
        ("acme.example.com", "must be a URL"),
        ("ftp://acme.example.com", "must be a URL"),
        ("https://", "must be a URL"),
        ("", "must be a URL"),
        ("https://acme.example.com?x=1", "must be a URL"),
        ("https://acme.example.com#x", "must be a URL"),
        ("https://acme.example.com:port", ""),
        ("https://acme.example.com:99999", ""),
        ("https://[::1", ""),
    ],
)
def test_an_address_that_would_give_credentials_away_is_refused(address, side, url, why):
    """Plain HTTP to others, credentials in the address, what only looks like this machine (semantics 5.5)."""
    with pytest.raises(SettingsError) as refused:
        address(side, url)
    assert f"{side}.base_url" in str(refused.value)
    assert why in str(refused.value)
    assert CANARY not in str(refused.value)


# --- secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "section", "variable"),
    [("api_token", "gladly", "GLADLY_API_TOKEN"), ("write_key", "segment", "SEGMENT_WRITE_KEY")],
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


def test_a_secret_of_the_environment_wins_over_its_file(settings, tmp_path):
    """As every variable does; the file need not even be there."""
    config = settings(WHO + 'api_token_file = "nowhere"\n')
    assert config.secrets.api_token == SECRETS["GLADLY_API_TOKEN"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(None, r"cannot be read \(No such file or directory\)", id="no file"),
        pytest.param(b"", "token is missing", id="an empty file"),
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


def test_secrets_do_not_show_when_settings_are_printed(settings):
    """Whoever prints or logs the settings prints no secret."""
    config = settings(WHO)
    assert not any(secret in f"{config!r} {config}" for secret in SECRETS.values())


@pytest.mark.parametrize("value", ["5", "true", '["token"]'])
def test_what_names_no_file_is_a_mistake_like_any_other(command, bare, tmp_path, value):
    """Exit 2 and a sentence, also where the secret would have to come from there."""
    bare.delenv("GLADLY_API_TOKEN")
    (tmp_path / "config.toml").write_text(f"{WHO}api_token_file = {value}\n")
    ended = command("once")
    assert ended.code == 2
    assert "gladly.api_token_file" in ended.err
    assert "Unexpected" not in ended.err


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
    for ended in (
        command("--config", "nowhere.toml", "status"),
        command("status", GLADLY_SEGMENT_CONFIG="nowhere.toml"),
    ):
        assert ended.code == 2
        assert "nowhere.toml does not exist" in ended.err


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


def test_the_state_file_stands_beside_the_config(settings, tmp_path):
    """Its path is relative to the config file, not to where the command is given."""
    (tmp_path / "etc").mkdir()
    assert settings(WHO, file="etc/config.toml").state_path == Path("etc/gladly-segment.db")


# --- the file we ship -----------------------------------------------------------------------------------

SHIPPED = Path(__file__).parents[2] / "config.toml"


@pytest.mark.skipif(not SHIPPED.exists(), reason="no config.toml in the repository")
def test_the_config_we_ship_is_valid():
    """Filling in one's own organization is all that is left to do."""
    load(str(SHIPPED))


@pytest.mark.skipif(not SHIPPED.exists(), reason="no config.toml in the repository")
@pytest.mark.parametrize("section", Settings._fields)
def test_the_config_we_ship_names_every_setting(section):
    """In force or commented out, each in its section: the file is the reference people read."""
    part = re.search(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", SHIPPED.read_text(), re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"^(?:# *)?(\w+) *=", part[1], re.MULTILINE))
    assert set(getattr(Settings(), section)._fields) - named == set()
