"""The deployment files and the documents name settings, commands and paths. All of them exist."""

import re
import shlex
import tomllib

import click
import pytest

from sandbox.gladly.settings import GladlySettings
from sandbox.segment.settings import SegmentSettings
from support.deployment import DEPLOY, PROJECT
from sync.cli.main import cli
from sync.settings.loading import load
from sync.settings.sections import Settings

DOCUMENT = (PROJECT / "docs" / "deploying.md").read_text()
SECTION = DOCUMENT[DOCUMENT.index("## A trial with systemd") : DOCUMENT.index("## systemd\n")]
FILES = {
    str(path.relative_to(PROJECT)): path.read_text()
    for room in ("systemd", "container", "cron", "kubernetes")
    for path in (DEPLOY / room).iterdir()
} | {"docs/deploying.md": DOCUMENT, "README.md": (PROJECT / "README.md").read_text()}


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_setting(name):
    """Each GLADLY_SEGMENT_SECTION__KEY has a section and a key that `sync.settings.sections` knows."""
    for section, key in re.findall(r"GLADLY_SEGMENT_([A-Z]+)__(\w+)", FILES[name]):
        assert key.lower() in getattr(Settings(), section.lower())._fields, f"{section}__{key}"


def commands(text: str) -> set[str]:
    """Return the calls of the program in code. A word in a path or a name is not a call."""
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)) if "```" in text else text
    called = re.findall(r'gladly-segment (?:--config \S+ )?(?!gladly-segment)([a-z]+[^|`&;:#\n"]*)', code)
    as_lists = re.findall(r'\[?"?gladly-segment"?, ([^\]]+)\]', text)
    return set(called) | {" ".join(re.findall(r"[\w-]+", words)) for words in as_lists}


@pytest.mark.parametrize("name", FILES)
def test_every_command_exists_with_its_options(name):
    """The program understands each call in the files and in the documents' code."""
    for call in commands(FILES[name]):
        command, *arguments = shlex.split(call)
        assert command in cli.commands, call
        context = click.Context(cli.commands[command])
        cli.commands[command].make_parser(context).parse_args(arguments)


def test_the_commands_are_seen():
    """The test above finds calls to look at."""
    assert {"once"} <= {call.split()[0] for call in commands(FILES["deploy/cron/gladly-segment.cron"])}
    assert {"status --max-lag 6h", "status --max-lag 10m"} <= commands(
        FILES["deploy/kubernetes/gladly-segment.yaml"]
    )
    assert "status --max-lag 10m" in commands(FILES["deploy/container/Containerfile"])
    assert {"sandbox", "status"} <= {call.split()[0] for call in commands(SECTION)}


@pytest.mark.parametrize("name", ["docs/deploying.md", "README.md"])
def test_every_file_named_is_there(name):
    """The files that a reader is told to install, build, read or apply exist."""
    named = re.findall(r"(?<![\w/.])(?:deploy|requirements|docs)/[\w./-]+\w", FILES[name])
    assert named
    for path in named:
        assert (PROJECT / path).is_file(), path


@pytest.mark.parametrize("name", ["config.toml", "sandbox.toml"])
def test_the_config_files_are_understood(name, tmp_path, monkeypatch):
    """With the credentials beside them, all settings are good. The state file is where the unit may write."""
    for variable in ("GLADLY_API_TOKEN", "SEGMENT_WRITE_KEY"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "credentials").mkdir()
    for secret in ("gladly-api-token", "segment-write-key"):
        (tmp_path / "credentials" / secret).write_text("secret\n")
    (tmp_path / name).write_text((DEPLOY / name).read_text())
    settings = load(str(tmp_path / name)).settings
    assert str(settings.state.path.parent) == "/var/lib/gladly-segment"
    assert "StateDirectory=gladly-segment\n" in FILES["deploy/systemd/gladly-segment.service"]


def test_the_trial_is_set_up_for_the_sandbox():
    """The trial has the ports, the user and the secrets of `gladly-segment sandbox`."""
    gladly, segment = GladlySettings(), SegmentSettings()
    ports = {option.name: option.default for option in cli.commands["sandbox"].params}
    trial = tomllib.loads((DEPLOY / "sandbox.toml").read_text())
    assert trial["gladly"]["base_url"] == f"http://127.0.0.1:{ports['gladly_port']}"
    assert trial["segment"]["base_url"] == f"http://127.0.0.1:{ports['segment_port']}"
    assert trial["gladly"]["username"] == gladly.username
    assert f"echo {gladly.api_token} |" in SECTION
    assert f"echo {segment.write_key} |" in SECTION
