"""`check`: the settings, both ends and the state file, each proved for itself."""

from collections.abc import Callable, Iterator
from pathlib import Path

from state import Reader, StateError, StateLockedError, Store, damaged
from state.file import MAIN, is_there, take_role
from state.instants import utc_now
from sync.config import Config
from sync.errors import GladlySegmentError, SettingsError
from sync.gladly import GladlyClient
from sync.segment import SegmentClient
from sync.stop import Stop

Finding = str | GladlySegmentError | StateError

# Our clock decides nothing, but timestamps in logs and `status` are by it.
_CLOCK_WARNING_S = 5.0


def run_checks(load: Callable[[], Config]) -> Iterator[tuple[str, Finding]]:
    """
    Yield what was checked and what was found: a sentence where it holds, the error where it does not.

    Args:
        load: Reads the settings.
    """
    try:
        config = load()
    except SettingsError as error:
        yield "settings", error
        return
    good = f"good; Gladly is {config.settings.gladly.url}, Segment is {config.settings.segment.url}"
    yield "settings", "\n".join([good, *_secrets_others_can_read(config)])
    for name, look in (("gladly", _gladly), ("segment", _segment), ("state file", _state)):
        try:
            yield name, look(config)
        except (GladlySegmentError, StateError) as error:
            yield name, error


def _secrets_others_can_read(config: Config) -> Iterator[str]:
    for named in (config.settings.gladly.api_token_file, config.settings.segment.write_key_file):
        file = config.directory / named if named is not None else None
        if file is not None and file.exists() and file.stat().st_mode & 0o077:
            yield f"{file} is readable by others; mend it with: chmod 600 {file}"


def _gladly(config: Config) -> str:
    gladly = config.settings.gladly
    client = GladlyClient(
        gladly.url,
        gladly.username or "",
        config.secrets.api_token,
        requests_per_second=gladly.requests_per_second,
        stop=Stop(),
    )
    try:
        skew = (utc_now() - client.clock()).total_seconds()
    finally:
        client.close()
    note = (
        f"\nThis machine's clock is {skew:+.0f} s off Gladly's; set it."
        if abs(skew) > _CLOCK_WARNING_S
        else ""
    )
    return f"accepts the API token of {gladly.username}{note}"


def _segment(config: Config) -> str:
    client = SegmentClient(config.settings.segment.url, config.secrets.write_key, stop=Stop())
    try:
        client.reach()
    finally:
        client.close()
    return (
        "answers. That does not prove the write key or the region: Segment drops silently what has neither.\n"
        "Look for the first event in the source's debugger."
    )


def _state(config: Config) -> str:
    path: Path = config.state_path
    if not is_there(path):
        take_role(path, MAIN).close()
        return f"{path} will be created by the first cycle"
    with Reader(path) as reader:
        verdict = reader.quick_check()
        if verdict != "ok":
            raise damaged(path, verdict)
        watermark = reader.watermark()
    try:
        Store(path).close()
    except StateLockedError:
        return f"{path} is whole, and in use by a running cycle or daemon"
    since = f"watermark {watermark['position']}" if watermark else "no watermark yet"
    return f"{path} is whole ({since})"
