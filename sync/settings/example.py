"""Write what `init` makes: the example with a person's answers in it, and the files of the secrets."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from sync.errors import SettingsError

# The example is config.toml at the top of the project. A wheel holds a copy beside this module
# (pyproject.toml).
_EXAMPLES = (Path(__file__).with_name("config.example.toml"), Path(__file__).parents[2] / "config.toml")

_SECTION = re.compile(r"\[(\w+)\]$")
_SETTING = re.compile(r'(?:# )?(\w+) = "[^"]*" *(#.*)?$')


def is_untouched(path: Path) -> bool:
    """Return whether *path* is the example as it is shipped, with nothing of a person's in it."""
    try:
        return path.read_text("utf-8") == _example()
    except (OSError, UnicodeDecodeError):
        return False


def write_config(path: Path, answers: Mapping[str, str | None]) -> None:
    """
    Write the commented example to *path*, with the answers in it. Make its directory if it is missing.

    Args:
        path: The file to write. An existing file is replaced.
        answers: Texts by setting, such as `gladly.username`. None comments the setting out.

    Raises:
        SettingsError: The file cannot be written.
    """
    section = ""
    lines = []
    for line in _example().splitlines():
        if found := _SECTION.match(line):
            section = found[1]
        setting = _SETTING.match(line)
        name = f"{section}.{setting[1]}" if setting else ""
        lines.append(_answered(line, setting, answers[name]) if setting and name in answers else line)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).") from error


def write_secret(path: Path, secret: str) -> None:
    """
    Write a secret to a file of its own that only its owner can read. An existing file is replaced.

    Raises:
        SettingsError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).") from error


def _example() -> str:
    return next(example for example in _EXAMPLES if example.exists()).read_text("utf-8")


def _answered(line: str, setting: re.Match[str], answer: str | None) -> str:
    """Return a line of the example with another value. The comment behind the value keeps its column."""
    comment = setting[2] or ""
    begins = f"{setting[1]} = {json.dumps(answer, ensure_ascii=False)}"
    if answer is None:
        begins = f"# {line.removeprefix('# ').removesuffix(comment).rstrip()}"
    column = line.index(comment) if comment else 0
    return f"{begins:<{column - 2}}  {comment}".rstrip() if comment else begins
