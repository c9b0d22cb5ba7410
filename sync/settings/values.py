"""
Define the readers. Each turns the text or TOML value of one setting into a typed value.

A reader accepts both forms of a value, because TOML has types and an environment variable is always text. A
reader raises `KindError` when the value has the wrong kind; the error then says which kind is allowed. It
raises `ValueError` for every other mistake; the error then says what is wrong.
"""

import contextlib
import math
import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from state.instants import parse_duration, parse_instant, utc_now
from sync.http.addresses import is_loopback

# Gladly shows a change up to 15 s late. Twice that time is the shortest safe overlap (semantics 3.2).
MIN_OVERLAP = timedelta(seconds=30)

# The Events API reaches back 24 hours. With a longer overlap, each poll would need a report.
MAX_OVERLAP = timedelta(hours=22)

# With shorter intervals the daemon would do nothing else than begin cycles.
MIN_INTERVAL = timedelta(seconds=0.05)

# With fewer requests per second, a cycle would take hours.
MIN_REQUEST_RATE = 0.01

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ORGANIZATION = re.compile(rf"{_LABEL}(?:\.{_LABEL})?")


class KindError(ValueError):
    """Say that a value has the wrong kind. The message names the kind that is allowed."""


class Secret(str):
    """Hold text that `repr` hides, so that printing or logging the settings shows no secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "…"


def text(value: Any) -> str:
    """Read text."""
    if isinstance(value, str):
        return value
    raise KindError("text in quotes")


def path(value: Any) -> Path:
    """Read the path of a file."""
    if isinstance(value, str):
        return Path(value)
    raise KindError("a path in quotes")


def number_above_0(value: Any) -> float:
    """Read a finite number greater than 0."""
    with contextlib.suppress(ValueError):
        number = math.nan if isinstance(value, (bool, list, dict)) else float(value)
        if 0 < number < math.inf:
            return number
    raise KindError("a number above 0")


def request_rate(value: Any) -> float:
    """Read a number of requests per second of at least `MIN_REQUEST_RATE`."""
    if (found := number_above_0(value)) < MIN_REQUEST_RATE:
        raise ValueError(f"must be at least {MIN_REQUEST_RATE}: one request in 100 seconds")
    return found


def true_or_false(value: Any) -> bool:
    """Read a truth value. The environment may also write it as 1 or 0."""
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if found is None:
        raise KindError("true or false")
    return found


def one_of(*allowed: str) -> Callable[[Any], Any]:
    """Make a reader that accepts exactly these texts."""

    def read(value: Any) -> Any:
        if value in allowed:
            return value
        *others, last = map(repr, allowed)
        raise KindError(f"{', '.join(others)} or {last}")

    return read


def some_of(*allowed: str) -> Callable[[Any], tuple[str, ...]]:
    """Make a reader that accepts a list of these names. The environment separates the names with commas."""

    def read(value: Any) -> tuple[str, ...]:
        names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if isinstance(names, list) and all(name in allowed for name in names):
            return tuple(names)
        raise KindError(f"a list of some of: {', '.join(allowed)}")

    return read


def names(value: Any) -> tuple[str, ...]:
    """
    Read a list of names of any kind.

    The environment separates them with commas. Where a name contains a comma, it writes the list as
    config.toml does.
    """
    found = value
    if isinstance(value, str):
        is_list = value.lstrip().startswith("[")
        found = _listed(value) if is_list else [part.strip() for part in value.split(",")]
    if isinstance(found, list) and all(isinstance(name, str) and name.strip() for name in found):
        return tuple(found)
    raise KindError('a list of names in quotes: ["General", "Returns"]')


def _listed(text: str) -> Any:
    """Return the list that a text of TOML holds. Return None where it holds none."""
    try:
        return tomllib.loads(f"list = {text}")["list"]
    except tomllib.TOMLDecodeError:
        return None


def duration(value: Any) -> timedelta:
    """Read a duration longer than 0 s."""
    if not isinstance(value, str):
        raise KindError("a duration in quotes: 90s, 15m, 36h or 7d")
    found = parse_duration(value)
    if found <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return found


def overlap(value: Any) -> timedelta:
    """Read a duration from `MIN_OVERLAP` to `MAX_OVERLAP`."""
    found = duration(value)
    if found < MIN_OVERLAP:
        raise ValueError("must be at least 30s, because Gladly shows a change up to 15 s late")
    if found > MAX_OVERLAP:
        raise ValueError("must be at most 22h, because Gladly's Events API reaches back 24 hours")
    return found


def interval(value: Any) -> timedelta:
    """Read a duration of at least `MIN_INTERVAL`."""
    if (found := duration(value)) < MIN_INTERVAL:
        raise ValueError("must be at least 0.05s")
    return found


def duration_or_off(value: Any) -> timedelta | None:
    """Read a duration. Return None for `off`."""
    return None if value == "off" else duration(value)


def start(value: Any) -> str:
    """Read `now` or an instant. Return the text, because the first poll decides what an age refers to."""
    found = text(value)
    if found != "now":
        try:
            parse_instant(found, utc_now())
        except ValueError as error:
            raise ValueError(f'{error}, or "now"') from None
    return found


def cron(value: Any) -> str:
    """Read a cron expression of five fields."""
    from sync.settings.cron import crontab_triggers

    found = text(value)
    try:
        triggers = crontab_triggers(found)
    except ValueError as error:
        raise ValueError(
            f'{found!r} is not a cron expression of five fields like "*/5 * * * *" ({error})'
        ) from None
    if not triggers:
        raise ValueError(f"{found!r} never comes, because no month that it names has such a day")
    return found


def organization(value: Any) -> str:
    """Read the name of a Gladly organization, as `organization_of` does."""
    return organization_of(text(value))


def organization_of(pasted: str) -> str:
    """
    Return the organization that a person meant.

    A person may paste `acme`, `acme.us-1`, `acme.gladly.com/api/v1` or `https://acme.us-1.gladly.com/`. For a
    Gladly sandbox (`gladly.qa`) the result is the whole host name.

    Raises:
        ValueError: The text has none of these forms.
    """
    address = pasted.strip().lower()
    host = address.split("://", 1)[-1].split("/", 1)[0].removesuffix(".")
    name = host.removesuffix(".gladly.com").removesuffix(".gladly.qa")
    is_other_address = "/" in address and name == host
    if is_other_address or not _ORGANIZATION.fullmatch(name) or name.endswith(("gladly.com", "gladly.qa")):
        shown = "that" if "@" in pasted else repr(pasted)  # an address with @ may contain a password
        raise ValueError(
            f"{shown} is not an organization; write the part before .gladly.com and keep a region "
            "label: acme or acme.us-1"
        )
    return host if host.endswith(".gladly.qa") else name


def gladly_base_url(value: Any) -> str:
    """Read Gladly's base URL, with or without the path of its API."""
    return _base_url(value).removesuffix("/api/v1")


def segment_base_url(value: Any) -> str:
    """Read Segment's base URL, with or without the path of its API."""
    return _base_url(value).removesuffix("/v1/batch").removesuffix("/v1")


def public_api_url(value: Any) -> str:
    """Read the URL of Segment's Public API."""
    return _base_url(value)


def _base_url(value: Any) -> str:
    """Read a URL and remove the slash at its end. Require HTTPS unless the URL names this machine."""
    url = text(value).strip().rstrip("/")
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("must have a port from 0 to 65535, or none") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL like https://example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password; the credentials have their own settings")
    _require_tls(url)
    return url


def heartbeat_url(value: Any) -> Secret:
    """
    Read the URL that a heartbeat requests.

    Anyone who knows the URL can send heartbeats, so no message repeats any part of it.
    """
    url = value.strip() if isinstance(value, str) else ""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url or not url.isprintable() or " " in url:
        raise ValueError("must be a URL like https://example.com/ping/…")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password; a heartbeat sends neither")
    _require_tls(url)
    return Secret(url)


def _require_tls(url: str) -> None:
    if urlsplit(url).scheme == "http" and not is_loopback(url):
        raise ValueError("must begin with https://; http:// is allowed for this machine only")


def listen(value: Any) -> str:
    """
    Read `HOST:PORT` or a port.

    A port alone means the loopback address. An address that other machines can reach must be written out.
    """
    host, _, port = ("" if isinstance(value, bool) else str(value).strip()).rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65_535 or not re.fullmatch(r"[\w.:-]+", host):
        raise ValueError(
            'must be an address and a port like "127.0.0.1:9464", or a port alone, which only this machine '
            "can reach"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
