"""
Load config.toml and the environment as one typed `Config` (interface 3). All mistakes are reported at once.
"""

import os
import tomllib
from pathlib import Path
from typing import Any, NamedTuple, get_args

from sync.errors import SettingsError
from sync.settings.secrets import (
    API_TOKEN,
    PUBLIC_API_TOKEN,
    WRITE_KEY,
    Secrets,
    read_heartbeat_url,
    read_optional_secret,
    read_secret,
    without_secrets,
)
from sync.settings.sections import Config, Settings
from sync.settings.values import KindError

ENV_PREFIX = "GLADLY_SEGMENT_"

_SECTIONS = ", ".join(Settings._fields)


class Given(NamedTuple):
    """
    Hold a setting as a person gave it: not typed yet.

    Attributes:
        value: Text, or what TOML makes of it.
        place: Where it stands, as a sentence about it begins: `config.toml: sync.every`, or `The variable
            GLADLY_SEGMENT_SYNC__EVERY`.
        variable: The environment variable that holds it. None where it stands in the file.
    """

    value: Any
    place: str
    variable: str | None = None


# The settings of each section by name.
Tables = dict[str, dict[str, Given]]


class Read(NamedTuple):
    """
    Hold what the file and the environment give, and what is wrong with it so far.

    Attributes:
        file: The config file.
        content: What it holds. Empty where there is no file.
        tables: The settings that are given. The environment wins over the file.
        mistakes: A sentence for each mistake.
    """

    file: Path
    content: dict[str, Any]
    tables: Tables
    mistakes: list[str]


def load(path: str | None, *, with_secrets: bool = True) -> Config:
    """
    Read the settings and the secrets.

    Args:
        path: The config file that the command line names. Without one, `$GLADLY_SEGMENT_CONFIG` names the
            file. Without that, the file is `config.toml` in the working directory, which may be missing,
            because the environment can hold every setting.
        with_secrets: Whether to require what a connection to Gladly and Segment needs. A command that only
            reads the state file needs none of this.

    Raises:
        SettingsError: The settings hold mistakes. The error has one sentence for each.
    """
    file, content, tables, mistakes = read_settings(path)
    settings, more = typed(tables)
    mistakes += more
    secrets = Secrets()
    if with_secrets:
        # A file with mistakes may also lack a setting. Both are reported at once.
        secrets, more = _read_secrets(tables, settings, file.parent)
        mistakes += [f"{file}: {each}" if content else each for each in _missing(tables["gladly"])] + more
    if mistakes:
        raise SettingsError(*mistakes)
    return Config(settings, secrets, file.parent)


def read_settings(path: str | None) -> Read:
    """
    Read the file and the environment.

    Args:
        path: The config file that the command line names, as for `load`.

    Raises:
        SettingsError: The file cannot be read.
    """
    variable = ENV_PREFIX + "CONFIG"
    named = path or os.environ.get(variable)
    file = Path(named or "config.toml")
    content, mistakes = without_secrets(_read_toml(file, variable, path=path, must_exist=named is not None))
    mistakes += _section_mistakes(content) + _schedule_mistakes(content)
    environment, more = _environment()
    tables = _merged(content, environment, file)
    return Read(file, content, tables, [f"{file}: {each}" for each in mistakes] + more)


def _read_toml(file: Path, variable: str, *, path: str | None, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist and path is None:
            raise SettingsError(
                f"The variable {variable} names {file}, which does not exist. Correct the variable, or make "
                "the file with: gladly-segment init"
            ) from None
        if must_exist:
            raise SettingsError(f"{file} does not exist. Name another file with --config.") from None
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read ({error.strerror}).") from error


def _environment() -> tuple[Tables, list[str]]:
    """Return the settings that the environment holds, and the mistakes. An empty variable sets nothing."""
    tables: Tables = {}
    mistakes = []
    for name, value in os.environ.items():
        if not name.upper().startswith(ENV_PREFIX):
            continue
        section, is_key, key = name.upper().removeprefix(ENV_PREFIX).lower().partition("__")
        if is_key and section not in Settings._fields:
            mistakes.append(f"The variable {name} names no section. The sections are {_SECTIONS}.")
        elif not is_key and section in Settings._fields:
            mistakes.append(
                f"The variable {name} names a section and no key. Set each key alone: {name}__KEY=value."
            )
        elif is_key and value:
            given = Given(value, f"The variable {name}", name)
            tables.setdefault(section, {})[key.replace("__", ".")] = given
    return tables, mistakes


def _schedule_mistakes(content: dict[str, Any]) -> list[str]:
    if {"every", "cron"} <= _table(content, "sync").keys():
        return ["sync.cron: set either sync.every or sync.cron, not both."]
    return []


def _merged(content: dict[str, Any], environment: Tables, file: Path) -> Tables:
    """Return the settings of each section. The environment wins over the file."""
    merged = {}
    for section in Settings._fields:
        in_file = {
            key: Given(value, f"{file}: {section}.{key}") for key, value in _table(content, section).items()
        }
        merged[section] = {**in_file, **environment.get(section, {})}
    if "every" in environment.get("sync", {}) and "cron" not in environment["sync"]:
        merged["sync"].pop("cron", None)  # the environment's schedule replaces the file's
    return merged


def _table(content: dict[str, Any], section: str) -> dict[str, Any]:
    table = content.get(section)
    return table if isinstance(table, dict) else {}


def _section_mistakes(content: dict[str, Any]) -> list[str]:
    mistakes = []
    for name, value in content.items():
        if name not in Settings._fields:
            mistakes.append(f"{name} is not a section. The sections are {_SECTIONS}.")
        elif not isinstance(value, dict):
            mistakes.append(f"{name} must be a section of its own, like [sync].")
    return mistakes


def typed(tables: Tables) -> tuple[Settings, list[str]]:
    """Return every section with its typed values, and the mistakes. A wrong value leaves the default."""
    mistakes: list[str] = []
    sections = {}
    for name, section in Settings()._asdict().items():
        sections[name], more = _section(name, type(section), tables[name])
        mistakes += more
    return Settings(**sections), mistakes


def _section(name: str, type_: Any, table: dict[str, Given]) -> tuple[Any, list[str]]:
    """Return one section with its typed values, and the mistakes."""
    readers = {key: get_args(annotation)[1] for key, annotation in type_.__annotations__.items()}
    values, mistakes = {}, []
    for key, (value, place, _) in table.items():
        try:
            if key in readers:
                values[key] = readers[key](value)
            else:
                known = ", ".join(readers)
                mistakes.append(f"{place} is not a setting. The settings of [{name}] are {known}.")
        except KindError as kind:
            # A list or a table may hold a secret, so the message does not repeat it.
            shown = f" is {value!r}; it" if isinstance(value, (str, int, float)) else ""
            mistakes.append(f"{place}{shown} must be {kind}.")
        except ValueError as error:
            mistakes.append(f"{place}: {error}.")
    return type_(**values), mistakes


def _missing(gladly: dict[str, Given]) -> list[str]:
    mistakes = []
    if not _is_given(gladly, "organization") and not _is_given(gladly, "base_url"):
        mistakes.append('gladly.organization is missing: write the part before .gladly.com, such as "acme".')
    if not _is_given(gladly, "username"):
        mistakes.append("gladly.username is missing: write the e-mail of an agent who is an API User.")
    return mistakes


def _is_given(table: dict[str, Given], key: str) -> bool:
    return key in table and bool(table[key].value)


def _read_secrets(tables: Tables, settings: Settings, directory: Path) -> tuple[Secrets, list[str]]:
    gladly, segment, heartbeat = tables["gladly"], tables["segment"], tables["heartbeat"]
    token, mistakes = read_secret(API_TOKEN, *_named(gladly, "api_token_file"), directory)
    key, more = read_secret(WRITE_KEY, *_named(segment, "write_key_file"), directory)
    _, place = _named(heartbeat, "url_file")
    url, yet_more = read_heartbeat_url(settings.heartbeat.url, settings.heartbeat.url_file, place, directory)
    public_api_token, still_more = read_optional_secret(
        PUBLIC_API_TOKEN, *_named(segment, "public_api_token_file"), directory
    )
    return Secrets(token, key, url, public_api_token), mistakes + more + yet_more + still_more


def _named(table: dict[str, Given], key: str) -> tuple[Any, str]:
    """Return what the setting says that names a secret's file, and where it stands."""
    given = table.get(key)
    return (None, "") if given is None else (given.value, given.place)
