"""Every setting in effect, and where it comes from: what `config show` prints."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sync.errors import SettingsError
from sync.settings.loading import Tables, read_settings, typed
from sync.settings.secrets import API_TOKEN, PUBLIC_API_TOKEN, WRITE_KEY, Secrets, SecretSource
from sync.settings.sections import Config, Settings

# The units of a duration, and the fewest of each that are written: 24h and not 1d, as config.toml has it.
_UNITS = (("d", 86_400, 2), ("h", 3_600, 2), ("m", 60, 2))

# Settings that follow from another one, unless they are given.
_FOLLOWS: dict[tuple[str, str], tuple[str, Callable[[Settings], str]]] = {
    ("gladly", "base_url"): ("gladly.organization", lambda settings: settings.gladly.url),
    ("segment", "base_url"): ("segment.region", lambda settings: settings.segment.url),
    ("segment", "public_api_url"): ("segment.region", lambda settings: settings.segment.public_api),
}


class Effective(NamedTuple):
    """
    Hold a setting in effect.

    Attributes:
        name: The setting, such as `sync.every`.
        value: Its value as a person writes it. Of a secret, `set` or `not set`.
        origin: Where the value comes from.
        place: The file, the variable, or the setting that it follows from. None for a default.
    """

    name: str
    value: str
    origin: Literal["default", "file", "environment", "setting"]
    place: str | None


def effective_settings(path: str | None) -> list[Effective]:
    """
    Return every setting in effect, in the order of config.toml, each secret with its section.

    Args:
        path: The config file that the command line names, as for `sync.settings.loading.load`.

    Raises:
        SettingsError: The settings hold mistakes. A secret that is not given is none.
    """
    file, _, tables, mistakes = read_settings(path)
    settings, more = typed(tables)
    if mistakes or more:
        raise SettingsError(*mistakes, *more)
    config = Config(settings, Secrets(), file.parent)
    found = []
    for section, values in settings._asdict().items():
        for key, value in values._asdict().items():
            if (section, key) != ("heartbeat", "url"):
                found.append(_setting(config, tables, file, (section, key), value))
        found += _secrets(config, tables, file, section)
    return found


def _setting(config: Config, tables: Tables, file: Path, name: tuple[str, str], value: Any) -> Effective:
    section, key = name
    written = ".".join(name)
    given = tables[section].get(key)
    if value is None and name in _FOLLOWS:
        source, follows = _FOLLOWS[name]
        is_known = config.settings.gladly.organization is not None or section != "gladly"
        return Effective(written, follows(config.settings) if is_known else "not set", "setting", source)
    if isinstance(value, Path):
        value = str((config.directory / value).absolute())
    if given is None:
        return Effective(written, _written(name, value), "default", None)
    if given.variable is not None:
        return Effective(written, _written(name, value), "environment", given.variable)
    return Effective(written, _written(name, value), "file", str(file))


def _written(name: tuple[str, str], value: Any) -> str:
    """Return a value as a person writes it."""
    if value is None:
        return "off" if name in (("sync", "reconcile"), ("sync", "audit")) else "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, size, fewest in _UNITS:
        if seconds % size == 0 and seconds >= fewest * size:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _secrets(config: Config, tables: Tables, file: Path, section: str) -> list[Effective]:
    found = [
        _secret(config, tables, file, source)
        for source in (API_TOKEN, WRITE_KEY, PUBLIC_API_TOKEN)
        if source.section == section
    ]
    if section == "heartbeat":
        found.append(_heartbeat(config, tables, file))
    return found


def _secret(config: Config, tables: Tables, file: Path, source: SecretSource) -> Effective:
    name = f"{source.section}.{source.key}"
    if os.environ.get(source.variable, "").strip():
        return Effective(name, "set", "environment", source.variable)
    return _in_file(config, tables, file, name)


def _heartbeat(config: Config, tables: Tables, file: Path) -> Effective:
    given = tables["heartbeat"].get("url")
    if given is None:
        return _in_file(config, tables, file, "heartbeat.url")
    if given.variable is not None:
        return Effective("heartbeat.url", "set", "environment", given.variable)
    return Effective("heartbeat.url", "set", "file", str(file))


def _in_file(config: Config, tables: Tables, file: Path, name: str) -> Effective:
    """Return a secret that may be in a file of its own."""
    section, key = name.split(".")
    named = getattr(getattr(config.settings, section), f"{key}_file")
    if named is None:
        return Effective(name, "not set", "default", None)
    there = (config.directory / named).absolute()
    is_there = there.is_file() and there.stat().st_size > 0
    return Effective(name, "set" if is_there else "not set", "file", str(there))
