"""Write the config.toml that `init` makes: the commented example, with a person's answers in it."""

import json
import re
from pathlib import Path

from sync.errors import SettingsError
from sync.settings.values import organization_of

# The example is config.toml at the top of the project. A wheel holds a copy beside this module
# (pyproject.toml).
_EXAMPLES = (Path(__file__).with_name("config.example.toml"), Path(__file__).parents[2] / "config.toml")


def write_config(path: Path, organization: str, username: str, region: str) -> None:
    """
    Write the commented example to *path*, with three values replaced.

    Args:
        path: The file to write. An existing file is replaced.
        organization: The Gladly organization, as a person pastes it.
        username: The e-mail address of the Gladly agent.
        region: The region of the Segment workspace.

    Raises:
        SettingsError: A value cannot be right, or the file cannot be written.
    """
    try:
        answers = {"organization": organization_of(organization), "username": username, "region": region}
    except ValueError as error:
        raise SettingsError(f"{error}.") from None
    if "@" not in username:
        raise SettingsError(f"{username!r} is not an e-mail address; write the e-mail of the Gladly agent.")
    text = next(example for example in _EXAMPLES if example.exists()).read_text("utf-8")
    for name, value in answers.items():
        # Replace the value alone; the comment behind it keeps its column.
        text = re.sub(
            rf'^{name} = "[^"]*"', f"{name} = {json.dumps(value)}", text, count=1, flags=re.MULTILINE
        )
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).") from error
