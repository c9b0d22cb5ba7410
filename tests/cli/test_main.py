"""The program: help for every command, and errors that are a sentence each."""

import json
import re

import click
import pytest

from state.errors import OlderSchemaError
from state.locks import RESYNC
from state.records import TakenIn
from state.store import Store
from support.state_samples import EIGHT, NEXT_RELEASE
from sync import __version__
from sync.cli.errors import exit_code_of
from sync.cli.main import cli


def every_command(group=cli, *path):
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from every_command(command, *path, name)


COMMANDS = list(every_command())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command, words):
    """What it does in a sentence, and an example."""
    ended = command(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Example:" in ended.out
    assert re.search(r"\n\n  [A-Z][^\n]+", ended.out)


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_no_help_is_cut(command, words, columns):
    """A sentence that ends in "..." has lost its end. And no line is wider than the terminal."""
    lines = command(*words, "--help", COLUMNS=columns).out.splitlines()
    assert [line for line in lines[1:] if line.endswith("...")] == []
    assert max(map(len, lines)) <= int(columns)


def test_the_commands_stand_in_groups(command):
    """Each under what it is for, in the order in which people need them, with an example."""
    help_ = command("--help").out
    groups = re.findall(
        r"^(\w[\w ]+):\n((?:  .*\n|\n)+)", help_.partition("Set up:")[1] + help_.partition("Set up:")[2], re.M
    )
    assert [title for title, _ in groups] == ["Set up", "Run", "Look", "Mend", "Prove", "Try"]
    assert all(lines.count("Example: gladly-segment ") == 1 for _, lines in groups)
    assert {name for _, lines in groups for name in re.findall(r"^  ([a-z]+) ", lines, re.M)} == set(
        cli.commands
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "other.toml", "status", "--json"],
        ["status", "--config", "other.toml", "--json"],
        ["status", "--json", "--config=other.toml"],
        ["--config", "nowhere.toml", "status", "--json", "--config", "other.toml"],
    ],
    ids=" ".join,
)
def test_the_config_file_is_named_before_or_after_the_command(command, tmp_path, arguments):
    """As people type it; the last one counts."""
    (tmp_path / "other.toml").write_text('[state]\npath = "other.db"\n')
    with Store(tmp_path / "other.db") as store:
        store.commit(TakenIn(position=EIGHT))
    ended = command(*arguments)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["watermark"] == "2026-11-20T08:00:00.000Z"


def test_a_command_within_a_group_takes_them_too(command, tmp_path):
    """Behind the group's name and behind its own."""
    (tmp_path / "other.toml").write_text('[state]\npath = "other.db"\n')
    for arguments in (
        ["watermark", "--config", "other.toml", "show"],
        ["watermark", "show", "--config", "other.toml"],
    ):
        assert command(*arguments).out.startswith("No watermark yet.")
    assert command("watermark", "show", "--config", "nowhere.toml").code == 2


def test_the_program_lists_its_commands(command):
    """With an example to begin with."""
    ended = command("--help")
    assert ended.code == 0
    assert "Example:" in ended.out
    assert all(f"\n  {words[0]} " in ended.out for words in COMMANDS)


@pytest.mark.parametrize(
    "name", ["run", "once", "check", "status", "events", "watermark", "retry", "sandbox", "demo"]
)
def test_the_commands_people_have_in_scripts_are_there(name):
    """Renaming one breaks a cron line (interface 2)."""
    assert (name,) in COMMANDS


def test_the_version_is_told(command):
    """`--version`."""
    assert command("--version").out == f"gladly-segment, version {__version__}\n"


BAD = {
    "settings": (["once"], {"GLADLY_SEGMENT_SYNC__EVERY": "often"}, 2),
    "a secret is missing": (["once"], {"GLADLY_API_TOKEN": ""}, 2),
    "no such config": (["--config", "nowhere.toml", "status"], {}, 2),
    "no directory": (["once"], {"GLADLY_SEGMENT_STATE__PATH": "nowhere/state.db"}, 2),
    "a directory as state file": (["status"], {"GLADLY_SEGMENT_STATE__PATH": "."}, 2),
    "a wrong token": (["once"], {"GLADLY_API_TOKEN": "wrong"}, 3),
    "nothing to follow": (["events", "--follow"], {}, 2),
}


@pytest.mark.parametrize(("arguments", "environment", "code"), BAD.values(), ids=BAD)
def test_an_error_is_a_sentence(gladly_segment, arguments, environment, code):
    """On standard error, with what to do; nobody has to read a traceback."""
    ended = gladly_segment(*arguments, **environment)
    assert (ended.code, ended.out) == (code, "")
    assert "Traceback" not in ended.err
    complaints = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert complaints
    assert all(line.endswith(".") for line in complaints)


@pytest.mark.parametrize("what", ["settings", "no directory"])
def test_with_debug_there_is_a_traceback_and_the_same_exit_code(installation, what):
    """`--debug` shows where an error came from, and changes nothing that scripts rely on."""
    arguments, environment, code = BAD[what]
    installation.settings |= environment
    for where in (["--debug", *arguments], [*arguments, "--debug"]):
        ended = installation.run(*where)
        assert "Traceback (most recent call last)" in ended.stderr
        assert (ended.returncode, ended.stdout) == (code, "")


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 300, "~/../..//", "/dev/null", "/proc/self/mem"])
def test_no_path_is_too_strange_to_be_answered(command, tmp_path, path):
    """Whatever stands in `state.path` ends in an answer or a sentence, not in an unexpected error."""
    (tmp_path / "config.toml").write_text(
        f"[state]\npath = '{path}'\n" if "\0" not in path else '[state]\npath = "a\\u0000b"\n'
    )
    ended = command("status")
    assert ended.code in (0, 2)
    assert "Unexpected" not in ended.err


def test_2_for_wrong_usage(installation):
    """An unknown command, option or value: what is wrong, and where help is."""
    for arguments in (
        ["twice"],
        ["once", "--wet-run"],
        ["events", "--limit", "many"],
        ["watermark", "reset"],
    ):
        ended = installation.run(*arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "--help" in ended.stderr


def test_2_for_a_file_of_an_older_release_that_the_command_does_not_migrate(tmp_path):
    """`retry`, `dismiss` and `watermark reset` leave the migration to a cycle, and say so."""
    Store(tmp_path / "state.db").close()
    with pytest.raises(OlderSchemaError, match=r"gladly-segment once.* migrates it") as raised:
        Store(tmp_path / "state.db", RESYNC, schema=NEXT_RELEASE)
    assert exit_code_of(raised.value) == 2
