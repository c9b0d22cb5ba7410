"""
Settings: `config.toml` and the environment as typed values, all mistakes at once (interface 3).

Secrets come from the environment or from files of their own, never from config.toml.
"""

import os
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentSettingsError

from state.instants import parse_duration, parse_instant, utc_now
from sync.errors import SettingsError
from sync.hosts import is_loopback

ENV_PREFIX = "GLADLY_SEGMENT_"
GLADLY_TOKEN_VARIABLE = "GLADLY_API_TOKEN"  # noqa: S105 (a variable's name)
SEGMENT_KEY_VARIABLE = "SEGMENT_WRITE_KEY"

# Segment docs, "Regional Segment": an EU workspace written to at the US address answers 200 and drops.
SEGMENT_URLS = {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}

# Gladly shows changes up to 15 s late; twice that is the least that is safe (semantics 3.2).
MIN_OVERLAP = timedelta(seconds=30)

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ORGANIZATION = re.compile(rf"{_LABEL}(?:\.{_LABEL})?")


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        return value
    raise ValueError("must be a duration in quotes: 90s, 15m, 36h or 7d")


def _no_bool(value: Any) -> Any:
    if not isinstance(value, bool):
        return value
    raise ValueError("must be a number above 0")


def _enough(value: timedelta) -> timedelta:
    if value < MIN_OVERLAP:
        raise ValueError("must be at least 30s, since Gladly shows changes up to 15 s late")
    return value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


def _or_off(value: Any) -> Any:
    return None if value == "off" else value


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]


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


def _base_url(text: str) -> str:
    """A base URL without a slash at the end. HTTPS, but to this machine; no user name or password in it."""
    url = text.strip().rstrip("/")
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


def _gladly_base_url(text: str) -> str:
    return _base_url(text).removesuffix("/api/v1")


def _segment_base_url(text: str) -> str:
    return _base_url(text).removesuffix("/v1/batch").removesuffix("/v1")


def _start(text: str) -> str:
    if text != "now":
        try:
            parse_instant(text, utc_now())
        except ValueError as error:
            raise ValueError(f'{error}, or "now"') from None
    return text


def _cron(text: str) -> str:
    from apscheduler.triggers.cron import CronTrigger

    try:
        CronTrigger.from_crontab(text)
    except ValueError as error:
        raise ValueError(f'{text!r} is not a cron line of five fields like "*/5 * * * *" ({error})') from None
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GladlySettings(_Section):
    """`[gladly]`: which organization, as whom, how fast."""

    organization: Annotated[str, AfterValidator(organization_of)] | None = None
    base_url: Annotated[str, AfterValidator(_gladly_base_url)] | None = None
    username: str | None = None
    api_token_file: Path | None = None
    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_bool)] = 7.0

    @property
    def url(self) -> str:
        """Scheme and host of the organization's API."""
        organization = self.organization or ""
        host = organization if organization.endswith(".gladly.qa") else f"{organization}.gladly.com"
        return self.base_url or f"https://{host}"


class SegmentSettings(_Section):
    """`[segment]`: which region or receiver."""

    write_key_file: Path | None = None
    region: Literal["us", "eu"] = "us"
    base_url: Annotated[str, AfterValidator(_segment_base_url)] | None = None

    @property
    def url(self) -> str:
        """Scheme and host of the Tracking API."""
        return self.base_url or SEGMENT_URLS[self.region]


class SyncSettings(_Section):
    """`[sync]`: when, from where, and what is sent."""

    every: Duration = timedelta(seconds=60)
    cron: Annotated[str, AfterValidator(_cron)] | None = None
    start: Annotated[str, AfterValidator(_start)] = "now"
    overlap: Annotated[Duration, AfterValidator(_enough)] = timedelta(seconds=60)
    reconcile: Annotated[Duration | None, BeforeValidator(_or_off)] = timedelta(hours=24)
    closed_timestamp: Literal["created", "closed"] = "created"
    reopened: bool = False


class StateSettings(_Section):
    """`[state]`: where the state file is, and how long it keeps payloads."""

    path: Path = Path("gladly-segment.db")
    retention: Duration = timedelta(days=30)


class LogSettings(_Section):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Secrets(_Section):
    """What is read from the environment or from files of their own, and shown nowhere."""

    api_token: str = Field("", repr=False)
    write_key: str = Field("", repr=False)


class Settings(BaseSettings):
    """Everything a person can set, secrets apart."""

    model_config = SettingsConfigDict(
        extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__", env_ignore_empty=True, frozen=True
    )

    gladly: GladlySettings = GladlySettings()
    segment: SegmentSettings = SegmentSettings()
    sync: SyncSettings = SyncSettings()
    state: StateSettings = StateSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load` has put the environment over the file, to judge what each of them says."""
        return (init_settings,)


class Config(NamedTuple):
    """The settings of a run, and its secrets."""

    settings: Settings
    secrets: Secrets
    directory: Path

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
        section: {**_table(content, section), **_table(environment, section)}
        for section in Settings.model_fields
    }
    unread = {
        name: value for name, value in content.items() if name not in merged or not isinstance(value, dict)
    }
    settings = Settings()
    try:
        settings = Settings(**{**merged, **unread})
    except ValidationError as error:
        mistakes += [_sentence(one) for one in error.errors()]
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
        )
    if mistakes:
        where = f"{file}: " if content else ""
        raise SettingsError(*(where + mistake for mistake in mistakes))
    return Config(settings, secrets, file.parent)


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
    """The settings that the environment gives, by section."""
    for name in os.environ:
        section, is_key, _ = name.upper().removeprefix(ENV_PREFIX).partition("__")
        if name.upper().startswith(ENV_PREFIX) and is_key and section.lower() not in Settings.model_fields:
            mistakes.append(
                f"The variable {name} names no section. There are {', '.join(Settings.model_fields)}."
            )
    try:
        return EnvSettingsSource(Settings)()
    except EnvironmentSettingsError as error:
        match = re.search(r'field "(\w+)"', str(error))
        name = ENV_PREFIX + (match[1].upper() if match else "…")
        mistakes.append(
            f"The variable {name} is no section. Give its keys one by one, as in {name}__KEY=value."
        )
        return {}


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

    def read(self, named: object, config: Path, mistakes: list[str]) -> str:
        """The environment wins over the file named, as for every setting."""
        secret = os.environ.get(self.variable, "").strip()
        if not secret and isinstance(named, (str, Path)):
            file = config.parent / named
            try:
                secret = file.read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", "not text")
                mistakes.append(f"{self.setting}: {file} cannot be read ({why}).")
                return ""
        if not secret:
            mistakes.append(
                f"{self.what} is missing: set the variable {self.variable}, or name a file that holds it "
                f"with {self.setting}."
            )
        elif not secret.isprintable() or " " in secret:
            mistakes.append(f"{self.what} ({self.variable} or {self.setting}) holds a space or a line break.")
        return secret


_KINDS = {
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "a number above 0",
    "finite_number": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "path_type": "a path in quotes",
    "timedelta_type": "a duration in quotes: 90s, 15m, 36h, 7d",
    "model_type": "a section of its own, like [sync]",
    "model_attributes_type": "a section of its own, like [sync]",
}


def _sentence(error: Any) -> str:
    """One mistake as a person can act on it: the key, what is wrong, what is allowed."""
    name = ".".join(str(part) for part in error["loc"])
    kind, message = error["type"], str(error["msg"])
    if kind == "extra_forbidden":
        section = Settings.model_fields.get(str(error["loc"][0]))
        fields: Any = getattr(section.annotation, "model_fields", {}) if section else Settings.model_fields
        return f"{name} is not a setting. Known here: {', '.join(fields)}."
    if kind == "value_error":
        detail = message.removeprefix("Value error, ")
        return f"{name}: {detail}."
    allowed = error["ctx"]["expected"] if kind == "literal_error" else _KINDS.get(kind, message)
    # What stands for a whole section, or is no simple value, may hold a secret: it is not repeated.
    shown = ""
    if len(error["loc"]) > 1 and isinstance(error["input"], (str, int, float)):
        shown = f" is {error['input']!r}; it"
    return f"{name}{shown} must be {allowed}."
