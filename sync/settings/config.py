"""
Settings: `config.toml` and the environment as typed values, all mistakes at once (interface 3).

Secrets come from the environment or from files of their own, never from config.toml.
"""

import contextlib
import math
import os
import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from state.instants import parse_duration, parse_instant, utc_now
from sync.errors import SettingsError
from sync.events.options import ADDABLE, HASHABLE, OPTIONAL, EventOptions
from sync.http.addresses import is_loopback

ENV_PREFIX = "GLADLY_SEGMENT_"
GLADLY_TOKEN_VARIABLE = "GLADLY_API_TOKEN"  # noqa: S105 (a variable's name)
SEGMENT_KEY_VARIABLE = "SEGMENT_WRITE_KEY"

# Segment docs, "Regional Segment": an EU workspace written to at the US address answers 200 and drops.
SEGMENT_URLS = {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}

# Gladly shows changes up to 15 s late; twice that is the least that is safe (semantics 3.2).
MIN_OVERLAP = timedelta(seconds=30)

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ORGANIZATION = re.compile(rf"{_LABEL}(?:\.{_LABEL})?")


# Readers: from what stands in the file, or in the environment, where everything is text, to a setting. Each
# raises ValueError with what is wrong, or _KindError with what is allowed.


class _KindError(ValueError):
    """The value is of another kind; the message says what kind is allowed."""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _KindError("text in quotes")


def _path(value: Any) -> Path:
    if isinstance(value, str):
        return Path(value)
    raise _KindError("a path in quotes")


def _number_above_0(value: Any) -> float:
    with contextlib.suppress(ValueError):
        number = math.nan if isinstance(value, (bool, list, dict)) else float(value)
        if 0 < number < math.inf:
            return number
    raise _KindError("a number above 0")


def _true_or_false(value: Any) -> bool:
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if found is None:
        raise _KindError("true or false")
    return found


def _one_of(*allowed: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value in allowed:
            return value
        *others, last = map(repr, allowed)
        raise _KindError(f"{', '.join(others)} or {last}")

    return read


def _some_of(*allowed: str) -> Callable[[Any], tuple[str, ...]]:
    """A list in the file, names with commas between them in the environment."""

    def read(value: Any) -> tuple[str, ...]:
        names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if isinstance(names, list) and all(name in allowed for name in names):
            return tuple(names)
        raise _KindError(f"a list of some of: {', '.join(allowed)}")

    return read


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise _KindError("a duration in quotes: 90s, 15m, 36h or 7d")
    duration = parse_duration(value)
    if duration <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return duration


def _overlap(value: Any) -> timedelta:
    if (duration := _duration(value)) < MIN_OVERLAP:
        raise ValueError("must be at least 30s, since Gladly shows changes up to 15 s late")
    return duration


def _duration_or_off(value: Any) -> timedelta | None:
    return None if value == "off" else _duration(value)


def _organization(value: Any) -> str:
    return organization_of(_text(value))


def organization_of(text: str) -> str:
    """
    The organization in what people paste: `acme`, `acme.us-1`, `acme.gladly.com/api/v1`,
    `https://acme.us-1.gladly.com/`; of a sandbox (`gladly.qa`) its whole host.

    Raises:
        ValueError: It is none of these.
    """
    pasted = text.strip().lower()
    host = pasted.split("://", 1)[-1].split("/", 1)[0].removesuffix(".")
    name = host.removesuffix(".gladly.com").removesuffix(".gladly.qa")
    is_address = "/" in pasted and name == host
    if is_address or not _ORGANIZATION.fullmatch(name) or name.endswith(("gladly.com", "gladly.qa")):
        shown = "that" if "@" in text else repr(text)  # a password may have been pasted with it
        raise ValueError(
            f"{shown} is not an organization; write the part before .gladly.com, with its region label "
            "if it has one: acme or acme.us-1"
        )
    return host if host.endswith(".gladly.qa") else name


def _base_url(value: Any) -> str:
    """A base URL without a slash at the end. HTTPS, but to this machine; no user name or password in it."""
    url = _text(value).strip().rstrip("/")
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has a port that is none") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL like https://example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password; credentials have settings of their own")
    if parts.scheme == "http" and not is_loopback(url):
        raise ValueError("must begin with https:// (plain http only to this machine)")
    return url


def _gladly_base_url(value: Any) -> str:
    return _base_url(value).removesuffix("/api/v1")


def _segment_base_url(value: Any) -> str:
    return _base_url(value).removesuffix("/v1/batch").removesuffix("/v1")


def _start(value: Any) -> str:
    text = _text(value)
    if text != "now":
        try:
            parse_instant(text, utc_now())
        except ValueError as error:
            raise ValueError(f'{error}, or "now"') from None
    return text


def _cron(value: Any) -> str:
    from apscheduler.triggers.cron import CronTrigger

    text = _text(value)
    try:
        CronTrigger.from_crontab(text)
    except ValueError as error:
        raise ValueError(f'{text!r} is not a cron line of five fields like "*/5 * * * *" ({error})') from None
    return text


def _listen(value: Any) -> str:
    """`HOST:PORT`; a port alone means loopback: an address that others can reach is written out."""
    host, _, port = ("" if isinstance(value, bool) else str(value).strip()).rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65_535 or not re.fullmatch(r"[\w.:-]+", host):
        raise ValueError('must be a port and whose: "127.0.0.1:9464", or 9464 alone for this machine only')
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Secret(str):
    """Text that no representation of what holds it shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "…"


def _heartbeat_url(value: Any) -> Secret:
    """A URL to GET. Who has it can send heartbeats, so no message repeats any of it."""
    url = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise ValueError("must be a URL like https://example.com/ping/…")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password; none are sent")
    if parts.scheme == "http" and not is_loopback(url):
        raise ValueError("must begin with https:// (plain http only to this machine)")
    return Secret(url)


class GladlySettings(NamedTuple):
    """`[gladly]`: which organization, as whom, how fast."""

    organization: Annotated[str | None, _organization] = None
    base_url: Annotated[str | None, _gladly_base_url] = None
    username: Annotated[str | None, _text] = None
    api_token_file: Annotated[Path | None, _path] = None
    requests_per_second: Annotated[float, _number_above_0] = 7.0

    @property
    def url(self) -> str:
        """Scheme and host of the organization's API."""
        organization = self.organization or ""
        host = organization if organization.endswith(".gladly.qa") else f"{organization}.gladly.com"
        return self.base_url or f"https://{host}"


class SegmentSettings(NamedTuple):
    """`[segment]`: which region or receiver."""

    write_key_file: Annotated[Path | None, _path] = None
    region: Annotated[Literal["us", "eu"], _one_of("us", "eu")] = "us"
    base_url: Annotated[str | None, _segment_base_url] = None
    gzip: Annotated[bool, _true_or_false] = False

    @property
    def url(self) -> str:
        """Scheme and host of the Tracking API."""
        return self.base_url or SEGMENT_URLS[self.region]


class SyncSettings(NamedTuple):
    """`[sync]`: when, from where, and what is sent."""

    every: Annotated[timedelta, _duration] = timedelta(seconds=60)
    cron: Annotated[str | None, _cron] = None
    start: Annotated[str, _start] = "now"
    overlap: Annotated[timedelta, _overlap] = timedelta(seconds=60)
    reconcile: Annotated[timedelta | None, _duration_or_off] = timedelta(hours=24)
    closed_timestamp: Annotated[Literal["created", "closed"], _one_of("created", "closed")] = "created"
    reopened: Annotated[bool, _true_or_false] = False


class PropertiesSettings(NamedTuple):
    """`[properties]`: more and less than Gladly's own integration sends (semantics 1.3)."""

    add: Annotated[tuple[str, ...], _some_of(*ADDABLE)] = ()
    leave_out: Annotated[tuple[str, ...], _some_of(*OPTIONAL)] = ()
    hash: Annotated[tuple[str, ...], _some_of(*HASHABLE)] = ()


class StateSettings(NamedTuple):
    """`[state]`: where the state file is, and how long it keeps payloads."""

    path: Annotated[Path, _path] = Path("gladly-segment.db")
    retention: Annotated[timedelta, _duration] = timedelta(days=30)


class LogSettings(NamedTuple):
    """`[log]`."""

    level: Annotated[str, _one_of("debug", "info", "warning", "error")] = "info"
    format: Annotated[str, _one_of("auto", "console", "json")] = "auto"


class MetricsSettings(NamedTuple):
    """`[metrics]`: where `run` shows its metrics to Prometheus; nowhere while unset."""

    listen: Annotated[str | None, _listen] = None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port."""
        if self.listen is None:
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class HeartbeatSettings(NamedTuple):
    """`[heartbeat]`: what to call after each good cycle. The URL is a capability, so a secret."""

    url: Annotated[Secret | None, _heartbeat_url] = None
    url_file: Annotated[Path | None, _path] = None


class Secrets(NamedTuple):
    """What is read from the environment or from files of their own, and shown nowhere."""

    api_token: Secret = Secret()
    write_key: Secret = Secret()
    heartbeat_url: Secret | None = None


class Settings(NamedTuple):
    """Everything a person can set, a section each."""

    gladly: GladlySettings = GladlySettings()
    segment: SegmentSettings = SegmentSettings()
    sync: SyncSettings = SyncSettings()
    properties: PropertiesSettings = PropertiesSettings()
    state: StateSettings = StateSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()


class Config(NamedTuple):
    """The settings of a run, and its secrets."""

    settings: Settings
    secrets: Secrets
    directory: Path

    @property
    def event_options(self) -> EventOptions:
        """How events differ from those of Gladly's own integration."""
        add, leave_out, hashed = self.settings.properties
        sync = self.settings.sync
        return EventOptions(sync.closed_timestamp, sync.reopened, add, leave_out, hashed)

    @property
    def state_path(self) -> Path:
        """Of the state file; like every path, relative to the config file."""
        return self.directory / self.settings.state.path


def load(path: str | None, *, with_secrets: bool = True) -> Config:
    """
    Read the settings.

    Args:
        path: The file named on the command line; else `$GLADLY_SEGMENT_CONFIG`, else `config.toml` here,
            which may be missing: the environment can say everything.
        with_secrets: Also whether what it takes to talk to both ends is there; a command that only reads the
            state file does without.

    Raises:
        SettingsError: Every mistake in a sentence of its own.
    """
    named = path or os.environ.get(ENV_PREFIX + "CONFIG")
    file = Path(named or "config.toml")
    content = _read_toml(file, must_exist=named is not None)
    mistakes = _secrets_in_the_file(content)
    environment = _environment(mistakes)
    if {"every", "cron"} <= _table(content, "sync").keys():
        mistakes.append("sync.cron: give either every or cron, not both.")
    elif "every" in _table(environment, "sync"):  # the environment wins over the file
        _table(content, "sync").pop("cron", None)
    merged = {
        section: {**_table(content, section), **_table(environment, section)} for section in Settings._fields
    }
    for name, value in content.items():
        if name not in merged:
            mistakes.append(f"{name} is not a setting. Known here: {', '.join(Settings._fields)}.")
        elif not isinstance(value, dict):
            mistakes.append(f"{name} must be a section of its own, like [sync].")
    settings = Settings(
        **{
            name: _read_section(name, type(section), merged[name], mistakes)
            for name, section in Settings()._asdict().items()
        }
    )
    secrets = Secrets()
    if with_secrets:
        # Of what cannot all be read, what is missing beside the mistakes is still worth saying.
        gladly, segment = merged["gladly"], merged["segment"]
        mistakes += _what_is_missing(gladly)
        token = _Secret("Gladly's API token", GLADLY_TOKEN_VARIABLE, "gladly.api_token_file")
        key = _Secret("Segment's write key", SEGMENT_KEY_VARIABLE, "segment.write_key_file")
        secrets = Secrets(
            api_token=token.read(gladly.get("api_token_file"), file, mistakes),
            write_key=key.read(segment.get("write_key_file"), file, mistakes),
            heartbeat_url=_heartbeat_url_of(settings.heartbeat, file, mistakes),
        )
    if mistakes:
        where = f"{file}: " if content else ""
        raise SettingsError(*(where + mistake for mistake in mistakes))
    return Config(settings, secrets, file.parent)


def _read_section(name: str, type_: Any, table: dict[str, Any], mistakes: list[str]) -> Any:
    """A section as its type has it, the defaults in place of what is not given or mistaken."""
    readers = {key: get_args(annotation)[1] for key, annotation in type_.__annotations__.items()}
    values = {}
    for key, value in table.items():
        setting = f"{name}.{key}"
        try:
            if key in readers:
                values[key] = readers[key](value)
            else:
                mistakes.append(f"{setting} is not a setting. Known here: {', '.join(readers)}.")
        except _KindError as kind:
            # What is no simple value may hold a secret: it is not repeated.
            shown = f" is {value!r}; it" if isinstance(value, (str, int, float)) else ""
            mistakes.append(f"{setting}{shown} must be {kind}.")
        except ValueError as error:
            mistakes.append(f"{setting}: {error}.")
    return type_(**values)


def _read_toml(file: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise SettingsError(f"{file} does not exist. Name another with --config.") from None
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read ({error.strerror}).") from error


def _environment(mistakes: list[str]) -> dict[str, Any]:
    """The settings that the environment gives, by section; a variable that is empty gives none."""
    tables: dict[str, Any] = {}
    for name, value in os.environ.items():
        if not name.upper().startswith(ENV_PREFIX):
            continue
        section, is_key, key = name.upper().removeprefix(ENV_PREFIX).lower().partition("__")
        if is_key and section not in Settings._fields:
            mistakes.append(f"The variable {name} names no section. There are {', '.join(Settings._fields)}.")
        elif not is_key and section in Settings._fields:
            mistakes.append(
                f"The variable {name} is no section. Give its keys one by one, as in {name}__KEY=value."
            )
        elif is_key and value:
            tables.setdefault(section, {})[key.replace("__", ".")] = value
    return tables


def _table(content: dict[str, Any], section: str) -> dict[str, Any]:
    table = content.get(section)
    return table if isinstance(table, dict) else {}


def _secrets_in_the_file(content: dict[str, Any]) -> list[str]:
    """A secret in config.toml would be copied, committed and backed up with it; it is taken out and named."""
    mistakes = []
    for section, key, variable in (
        ("gladly", "api_token", GLADLY_TOKEN_VARIABLE),
        ("segment", "write_key", SEGMENT_KEY_VARIABLE),
    ):
        table = content.get(section)
        if isinstance(table, dict) and key in table:
            del table[key]
            mistakes.append(
                f"{section}.{key} does not belong in this file, where it would be copied along. Give it by "
                f"the variable {variable} or in a file of its own named by {section}.{key}_file."
            )
    return mistakes


def _what_is_missing(gladly: dict[str, Any]) -> list[str]:
    missing = []
    if not gladly.get("organization") and not gladly.get("base_url"):
        missing.append('gladly.organization is missing: the part before .gladly.com, such as "acme".')
    if not gladly.get("username"):
        missing.append("gladly.username is missing: the e-mail of an agent with the API User permission.")
    return missing


class _Secret(NamedTuple):
    """A secret: what it is, and the two ways to give it."""

    what: str
    variable: str
    setting: str

    def read(self, named: object, config: Path, mistakes: list[str]) -> Secret:
        """The environment wins over the file named, as for every setting."""
        secret = os.environ.get(self.variable, "").strip()
        if not secret and isinstance(named, (str, Path)):
            file = config.parent / named
            try:
                secret = file.read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", "not text")
                mistakes.append(f"{self.setting}: {file} cannot be read ({why}).")
                return Secret()
        if not secret:
            mistakes.append(
                f"{self.what} is missing: set the variable {self.variable}, or name a file that holds it "
                f"with {self.setting}."
            )
        elif not secret.isprintable() or " " in secret:
            mistakes.append(f"{self.what} ({self.variable} or {self.setting}) holds a space or a line break.")
        return Secret(secret)


def _heartbeat_url_of(heartbeat: HeartbeatSettings, config: Path, mistakes: list[str]) -> Secret | None:
    """The URL itself, or what the file named holds; None for no heartbeat."""
    if heartbeat.url is not None:
        return heartbeat.url
    if heartbeat.url_file is None:
        return None
    file = config.parent / heartbeat.url_file
    try:
        return _heartbeat_url(file.read_text("utf-8"))
    except UnicodeDecodeError:
        mistakes.append(f"heartbeat.url_file: {file} cannot be read (not text).")
    except OSError as error:
        mistakes.append(f"heartbeat.url_file: {file} cannot be read ({error.strerror}).")
    except ValueError as error:
        mistakes.append(f"heartbeat.url_file: what {file} holds {error}.")
    return None
