"""Readers: what each setting accepts, and what is said about anything else (interface 3)."""

import re

import pytest

from support.config_samples import CANARY, WHO
from sync.errors import SettingsError
from sync.settings import values
from sync.settings.values import organization_of


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
        ("[gladly]\nrequests_per_second = 1e-300", "gladly.requests_per_second", "at least 0.01"),
        ("[sync]\nevery = '999999d'", "sync.every", "the longest duration is 36500d"),
        ("[sync]\nevery = '0.001s'", "sync.every", "at least 0.05s"),
        ("[sync]\noverlap = '23h'", "sync.overlap", "at most 22h"),
        ("[sync]\noverlap = '999999d'", "sync.overlap", "the longest duration is 36500d"),
        ("[sync]\nreconcile = '999999d'", "sync.reconcile", "the longest duration is 36500d"),
        ("[sync]\nstart = '999999d'", "sync.start", "the longest duration is 36500d"),
        ("[sync]\nstart = '0001-01-01'", "sync.start", "before the year 2000"),
        ("[state]\nretention = '999999d'", "state.retention", "the longest duration is 36500d"),
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
        ("[properties]\nuser_id = 'email'", "properties.user_id", "'customerId' or 'externalCustomerId'"),
        ("[sync]\ninboxes = [1]", "sync.inboxes", "a list of names in quotes"),
        ("[sync]\ninboxes = [' ']", "sync.inboxes", "a list of names in quotes"),
        ("[sync]\ninboxes = '[Shop A]'", "sync.inboxes", "a list of names in quotes"),
        ("[identify]\ntraits = 'maybe'", "identify.traits", "true or false"),
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
    """The key, and what may stand there (faults H2.7)."""
    said = [sentence for sentence in mistakes(text) if re.search(rf"\b{re.escape(key)}\b", sentence)]
    assert len(said) == 1
    assert allowed in said[0]


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


# --- where metrics are served ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("9464", ("127.0.0.1", 9464)),
        ('"9464"', ("127.0.0.1", 9464)),
        ('":9464"', ("127.0.0.1", 9464)),
        ('"127.0.0.1:9464"', ("127.0.0.1", 9464)),
        ('"localhost:9464"', ("localhost", 9464)),
        ('"0.0.0.0:9464"', ("0.0.0.0", 9464)),
        ('"[::1]:9464"', ("::1", 9464)),
        ('"[::]:0"', ("::", 0)),
    ],
)
def test_a_port_alone_is_this_machines_own(settings, listen, address):
    """Who wants others to reach it writes out where."""
    assert settings(WHO + f"[metrics]\nlisten = {listen}\n").settings.metrics.address == address


@pytest.mark.parametrize(
    "listen", ['"everywhere"', '"127.0.0.1:"', '":70000"', "-1", "true", "[9464]", '"a b:1"']
)
def test_what_is_no_address_is_refused(settings, listen):
    """With what one looks like."""
    with pytest.raises(
        SettingsError, match=r'metrics\.listen: must be an address and a port like "127\.0\.0\.1:9464"'
    ):
        settings(WHO + f"[metrics]\nlisten = {listen}\n")


# --- the heartbeat's URL --------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["271828", '["271828"]', "{a = 271828}"])
def test_a_url_of_the_wrong_type_is_not_repeated(settings, url):
    """It may be what somebody else must not see."""
    with pytest.raises(SettingsError) as refused:
        settings(WHO + f"[heartbeat]\nurl = {url}\n")
    assert "heartbeat.url: must be a URL" in str(refused.value)
    assert "271828" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("General, Shop A", ("General", "Shop A")),
        ('["Returns, repairs", "Shop A"]', ("Returns, repairs", "Shop A")),
        ("[]", ()),
        (["Shop A"], ("Shop A",)),
    ],
)
def test_names_are_a_list_in_the_file_and_have_commas_between_in_the_environment(written, expected):
    """Where a name contains a comma, the environment writes the list as the file does."""
    assert values.names(written) == expected
