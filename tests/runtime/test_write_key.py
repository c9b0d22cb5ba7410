"""`check` proves where the write key leads, with a token for Segment's Public API (semantics 6.3)."""

import json

import pytest

from sandbox import Fault
from sync.runtime.write_key import Unproved, prove_write_key
from sync.settings.loading import load

KEY_OF_NOBODY = "a" * 32


@pytest.fixture
def finding(gladly_segment, installation):
    """Return a function that runs `check` with a token, and gives what is said of the write key."""
    sandbox = installation.sandbox

    def find(*, token=sandbox.segment.public_api_token, **environment):
        if token is not None:
            environment["SEGMENT_PUBLIC_API_TOKEN"] = token
        environment["GLADLY_SEGMENT_SEGMENT__PUBLIC_API_URL"] = sandbox.public_api_url
        ended = gladly_segment("check", "--json", **environment)
        found = {line["check"]: line for line in map(json.loads, ended.out.splitlines())}
        return found["write key"], ended.code

    return find


@pytest.fixture
def settings_of(bare, installation):
    """Return a function that reads the settings, with a token, from these variables."""

    def read(**environment):
        named = {f"GLADLY_SEGMENT_{name}": value for name, value in environment.items()}
        secrets = {
            "GLADLY_API_TOKEN": "token",
            "SEGMENT_WRITE_KEY": KEY_OF_NOBODY,
            "SEGMENT_PUBLIC_API_TOKEN": "token",
            "GLADLY_SEGMENT_GLADLY__ORGANIZATION": "acme",
            "GLADLY_SEGMENT_GLADLY__USERNAME": "a@example.com",
        }
        for name, value in (secrets | named).items():
            bare.setenv(name, value)
        return load(None)

    return read


def test_a_key_of_an_enabled_source_is_proved(finding, installation):
    """The line names the source and the workspace. No event is made."""
    found, code = finding()
    assert (code, found["state"], found["ok"]) == (0, "passed", True)
    assert found["says"] == "belongs to the enabled source 'Gladly' of the workspace 'Sandbox'"
    assert installation.sandbox.inbox.attempts == []


@pytest.mark.parametrize(
    ("sandbox_settings", "environment", "code", "says"),
    [
        pytest.param({}, {"token": "wrong"}, 3, "refused the token (401)", id="token refused"),
        pytest.param(
            {"access": "none"}, {}, 3, "(403). Give the token the role Source Admin", id="no rights"
        ),
        pytest.param({}, {"SEGMENT_WRITE_KEY": KEY_OF_NOBODY}, 2, "Check SEGMENT_WRITE_KEY", id="wrong key"),
        pytest.param({"source_enabled": False}, {}, 1, "Enable the source in Segment", id="disabled source"),
        pytest.param({"region": "eu"}, {}, 3, "check segment.region too", id="workspace of another region"),
    ],
)
def test_each_mistake_is_named_with_what_to_do(
    finding, installation, sandbox_settings, environment, code, says
):
    """Segment answers 200 to the events in each case."""
    for name, value in sandbox_settings.items():
        setattr(installation.sandbox.segment, name, value)
    found, ended_with = finding(**environment)
    assert (ended_with, found["state"], found["ok"]) == (code, "failed", False)
    assert says in found["says"]


@pytest.mark.parametrize(
    "mistake",
    [{}, {"SEGMENT_WRITE_KEY": KEY_OF_NOBODY}, {"source_enabled": False}, {"region": "eu"}],
    ids=["none", "wrong key", "disabled source", "workspace of another region"],
)
def test_without_a_token_nothing_is_said_to_be_good(gladly_segment, installation, mistake):
    """The third state is no failure and no success. It says what would prove it."""
    environment = {name: value for name, value in mistake.items() if name.isupper()}
    for name in mistake.keys() - environment.keys():
        setattr(installation.sandbox.segment, name, mistake[name])
    ended = gladly_segment("check", **environment)
    line = next(line for line in ended.out.splitlines() if "write key  " in line)
    assert ended.code == 0
    assert line.startswith("unsure  write key   cannot be proved without a token for Segment's Public API")
    assert "SEGMENT_PUBLIC_API_TOKEN" in ended.out
    assert [each for each in ended.out.splitlines() if each.startswith("ok") and "belongs" in each] == []
    [told] = [
        found
        for found in map(json.loads, gladly_segment("check", "--json", **environment).out.splitlines())
        if found["check"] == "write key"
    ]
    assert (told["state"], told["ok"]) == ("unproved", None)


def test_a_token_that_sees_no_keys_proves_nothing(finding, installation):
    installation.sandbox.segment.access = "source_reader"
    found, code = finding()
    assert (code, found["state"]) == (0, "unproved")
    assert "Give the token the role Source Admin" in found["says"]


def test_an_api_that_is_down_is_a_failure(finding, installation, down):
    """Another attempt may succeed."""
    installation.sandbox.faults.add("public_api", "*", down)
    found, code = finding()
    assert (code, found["state"]) == (1, "failed")
    assert "Segment's Public API" in found["says"]


def test_something_else_at_the_address_is_said(finding, installation):
    installation.sandbox.faults.add("public_api", "*", Fault(200, body=b"<html>", times=None))
    found, code = finding()
    assert (code, found["state"]) == (1, "failed")
    assert "segment.public_api_url" in found["says"]


def test_addresses_of_two_regions_are_a_mistake(settings_of):
    """A workspace is in one region. No request is needed to see this."""
    config = settings_of(SEGMENT__PUBLIC_API_URL="https://eu1.api.segmentapis.com")
    with pytest.raises(Exception, match=r"of the region eu, and the events go to the region us"):
        prove_write_key(config)


def test_where_segment_itself_receives_nothing_its_word_proves_nothing(settings_of):
    """Events go to another receiver. The workspace knows nothing of them."""
    config = settings_of(SEGMENT__BASE_URL="https://segment.example.com")
    found = prove_write_key(config)
    assert isinstance(found, Unproved)
    assert "segment.example.com, which is not Segment itself" in str(found)


@pytest.mark.parametrize(
    ("region", "url"), [("us", "https://api.segmentapis.com"), ("eu", "https://eu1.api.segmentapis.com")]
)
def test_the_region_has_its_own_public_api(settings_of, region, url):
    assert settings_of(SEGMENT__REGION=region).settings.segment.public_api == url


def test_the_token_may_stand_in_a_file_that_others_cannot_read(gladly_segment, installation):
    """The file is named in the settings, and `check` says when others can read it."""
    file = installation.directory / "api-token"
    file.write_text(installation.sandbox.segment.public_api_token + "\n")
    file.chmod(0o644)
    ended = gladly_segment(
        "check",
        GLADLY_SEGMENT_SEGMENT__PUBLIC_API_TOKEN_FILE=str(file),
        GLADLY_SEGMENT_SEGMENT__PUBLIC_API_URL=installation.sandbox.public_api_url,
    )
    assert ended.code == 0
    assert "ok      write key   belongs to the enabled source" in ended.out
    assert f"{file} is readable by others" in ended.out
    assert installation.sandbox.segment.public_api_token not in ended.out + ended.err


def test_no_output_shows_the_token(installation):
    """Not the log of each request, not a traceback, and not an answer that repeats the token."""
    token = "cAnArY/t0ken"
    installation.settings |= {
        "SEGMENT_PUBLIC_API_TOKEN": token,
        "GLADLY_SEGMENT_SEGMENT__PUBLIC_API_URL": installation.sandbox.public_api_url,
        "GLADLY_SEGMENT_LOG__LEVEL": "debug",
    }
    installation.sandbox.faults.add("public_api", "/", Fault(404, body=f"you sent Bearer {token}".encode()))
    ended = installation.run("--debug", "check")
    assert ended.returncode == 1
    assert "you sent Bearer" in ended.stdout
    assert token not in ended.stdout + ended.stderr
