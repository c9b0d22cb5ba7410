"""
Read the secrets: Gladly's API token, Segment's write key, the token for Segment's Public API, the heartbeat's
URL.

Each comes from the environment or from a file of its own, never from config.toml: config.toml is copied,
committed and backed up.
"""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from sync.settings.values import Secret, heartbeat_url

GLADLY_TOKEN_VARIABLE = "GLADLY_API_TOKEN"  # noqa: S105 (a variable's name)
SEGMENT_KEY_VARIABLE = "SEGMENT_WRITE_KEY"
PUBLIC_API_TOKEN_VARIABLE = "SEGMENT_PUBLIC_API_TOKEN"  # noqa: S105 (a variable's name)


class Secrets(NamedTuple):
    """
    Hold the secrets of a run. No message, log line or file shows them.

    The token for Segment's Public API and the heartbeat's URL are None where they are not given.
    """

    api_token: Secret = Secret()
    write_key: Secret = Secret()
    heartbeat_url: Secret | None = None
    public_api_token: Secret | None = None


class SecretSource(NamedTuple):
    """
    Hold where a secret comes from.

    Attributes:
        secret: What messages call the secret.
        section, key: Where people tend to write the secret itself in config.toml.
        variable: The environment variable that holds it.
    """

    secret: str
    section: str
    key: str
    variable: str

    @property
    def in_a_sentence(self) -> str:
        """Return what the secret is called in the middle of a sentence."""
        return self.secret.replace("The ", "the ", 1)

    @property
    def file_setting(self) -> str:
        """Return the setting that names the secret's file."""
        return f"{self.section}.{self.key}_file"


# What people paste in place of a secret: a line of an .env file, or what should have been replaced. Base64
# may end with equals signs, so one at the end makes no name.
_NAME_BEFORE_IT = re.compile(r"(?:export\s+|set\s+|\$env:)?[A-Za-z_]\w*\s*=\s*[^=\s]", re.ASCII)
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_PLACEHOLDER = re.compile(r"\$\{.*\}|\$\(.*\)|\$[A-Z_]+|%[A-Z_]+%|\{\{.*\}\}|<.*>", re.DOTALL)

API_TOKEN = SecretSource("Gladly's API token", "gladly", "api_token", GLADLY_TOKEN_VARIABLE)
WRITE_KEY = SecretSource("Segment's write key", "segment", "write_key", SEGMENT_KEY_VARIABLE)
PUBLIC_API_TOKEN = SecretSource(
    "The token for Segment's Public API", "segment", "public_api_token", PUBLIC_API_TOKEN_VARIABLE
)


def read_secret(source: SecretSource, named: object, place: str, directory: Path) -> tuple[Secret, list[str]]:
    """
    Read a secret from its environment variable, or else from its file.

    Args:
        source: Which secret to read.
        named: The value of the setting that names the file, not typed yet.
        place: Where that setting stands: `config.toml: gladly.api_token_file`, or `The variable …`.
        directory: The directory of the config file. A relative path starts there.

    Returns: the secret, empty if it cannot be read, and the mistakes found.
    """
    secret = _trimmed(os.environ.get(source.variable, ""))
    where = f"the variable {source.variable}"
    if not secret and isinstance(named, (str, Path)):
        file = directory / named
        where = f"{file}, the file of {source.file_setting}"
        try:
            secret = _trimmed(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", "not UTF-8 text")
            return Secret(), [f"{place}: {file} cannot be read ({why})."]
        if not secret:
            return Secret(), [f"{place}: {file} is empty. Write {source.in_a_sentence} to it."]
    return Secret(secret), mistakes_in(secret, source, where)


def read_optional_secret(
    source: SecretSource, named: object, place: str, directory: Path
) -> tuple[Secret | None, list[str]]:
    """
    Read a secret as `read_secret` does. Return None without a mistake where neither place is given.

    Arguments and the rest of the result are those of `read_secret`.
    """
    if not _trimmed(os.environ.get(source.variable, "")) and named is None:
        return None, []
    return read_secret(source, named, place, directory)


def _trimmed(written: str) -> str:
    """Return *written* without what surrounds it unseen: blanks, line ends and a byte order mark."""
    return written.strip().strip("\ufeff").strip()


def mistakes_in(secret: str, source: SecretSource, where: str) -> list[str]:
    """
    Return what shows that *secret* is not the secret alone. No sentence repeats any part of it.

    Args:
        secret: What was given.
        source: Which secret it should be.
        where: Where it was given, such as `the variable GLADLY_API_TOKEN`.
    """
    named = f"{source.secret} ({where})"
    if not secret:
        return [
            f"{source.secret} is missing: set the variable {source.variable}, or write the secret to a file "
            f"and name that file in {source.file_setting}."
        ]
    if _NAME_BEFORE_IT.match(secret):
        return [f"{named} begins with a name and an equals sign. Write what comes after them, alone."]
    if secret[0] in _QUOTES or secret[-1] in _QUOTES:
        return [f"{named} is in quotes. Write it without them."]
    if _PLACEHOLDER.fullmatch(secret):
        return [f"{named} is a placeholder. Write the secret itself in its place."]
    if any(map(str.isspace, secret)):
        return [f"{named} contains a space or a line break."]
    if not (secret.isascii() and secret.isprintable()):
        return [
            f"{named} contains a character that no key has: an invisible or an accented one. Copy it anew."
        ]
    return []


def read_heartbeat_url(
    url: Secret | None, url_file: Path | None, place: str, directory: Path
) -> tuple[Secret | None, list[str]]:
    """
    Read the heartbeat's URL from its setting, or else from its file.

    Args:
        url: The value of `heartbeat.url`.
        url_file: The value of `heartbeat.url_file`.
        place: Where that setting stands: `config.toml: heartbeat.url_file`, or `The variable …`.
        directory: The directory of the config file. A relative path starts there.

    Returns: the URL, None for no heartbeat, and the mistakes found.
    """
    if url is not None or url_file is None:
        return url, []
    file = directory / url_file
    try:
        return heartbeat_url(_trimmed(file.read_text("utf-8"))), []
    except UnicodeDecodeError:
        return None, [f"{place}: {file} cannot be read (not UTF-8 text)."]
    except OSError as error:
        return None, [f"{place}: {file} cannot be read ({error.strerror})."]
    except ValueError as error:
        return None, [f"{place}: the URL in {file} {error}."]


def without_secrets(content: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """
    Remove the secrets that a person wrote into config.toml, so that no later message can repeat them.

    Args:
        content: The content of config.toml.

    Returns: the content without them, and a mistake for each.
    """
    cleaned, mistakes = dict(content), []
    for source in (API_TOKEN, WRITE_KEY, PUBLIC_API_TOKEN):
        table = cleaned.get(source.section)
        if isinstance(table, dict) and source.key in table:
            cleaned[source.section] = {key: value for key, value in table.items() if key != source.key}
            mistakes.append(
                f"{source.section}.{source.key} does not belong in this file, because every copy of it would "
                f"contain the secret. Set the variable {source.variable}, or write the secret "
                f"to another file and name that file in {source.file_setting}."
            )
    return cleaned, mistakes
