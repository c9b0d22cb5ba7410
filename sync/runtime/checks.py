"""Run the checks of `check`: the settings, both ends and the state file, each on its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from state.errors import StateError, StateLockedError, damaged, other_organization
from state.file import check_writable, is_there
from state.locks import MAIN, take_role
from state.reader import Reader
from state.schema.version import CURRENT, Schema
from sync.errors import GladlySegmentError, SettingsError
from sync.gladly.feed import ChangeFeed
from sync.runtime.build import DEFAULT_TUNING, Tuning, gladly_client, organization_host, segment_client
from sync.runtime.write_key import Unproved, prove_write_key
from sync.segment.limits import is_segments_own, looks_like_a_write_key
from sync.settings.secrets import SEGMENT_KEY_VARIABLE
from sync.settings.sections import Config
from sync.stop import Stop
from sync.telemetry import log

Finding = str | Unproved | GladlySegmentError | StateError

# Our clock decides nothing. Timestamps in logs and in `status` use it, so a difference of this many seconds
# is reported.
_CLOCK_WARNING_S = 5.0


def run_checks(
    load: Callable[[], Config],
    schema: Schema = CURRENT,
    *,
    offline: bool = False,
    tuning: Tuning = DEFAULT_TUNING,
) -> Iterator[tuple[str, Finding | None]]:
    """
    Check one thing after another. Yield the name of each, and what was found.

    What was found is a sentence when the check holds, and the error when it does not. It is `Unproved` where
    nothing shows whether it holds. It is None while the check goes on.

    Args:
        load: Reads the settings.
        schema: The schema of this release, to which the state file is compared.
        offline: Whether to check the settings and the state file alone, and to make no request.
        tuning: The numbers behind the settings.
    """
    try:
        config = load()
    except SettingsError as error:
        yield "settings", error
        return
    log.configure(config.settings.log)
    good = f"good; Gladly is {config.settings.gladly.url}, Segment is {config.settings.segment.url}"
    yield "settings", "\n".join([good, *_secrets_others_can_read(config), *_odd_write_key(config)])
    looks: list[tuple[str, Callable[[Config], str | Unproved]]] = []
    if not offline:
        looks += [
            ("gladly", lambda config: prove_gladly(config, tuning)),
            ("segment", lambda config: reach_segment(config, tuning)),
            ("write key", prove_write_key),
        ]
    looks.append(("state file", lambda config: _state(config, schema)))
    if config.settings.metrics.listen is not None and not offline:
        looks.append(("metrics", _metrics))
    if config.secrets.heartbeat_url is not None and not offline:
        looks.append(("heartbeat", _heartbeat))
    for name, look in looks:
        yield name, None
        try:
            yield name, look(config)
        except (GladlySegmentError, StateError) as error:
            yield name, error


def _secrets_others_can_read(config: Config) -> Iterator[str]:
    settings = config.settings
    secret_files = (
        settings.gladly.api_token_file,
        settings.segment.write_key_file,
        settings.segment.public_api_token_file,
        settings.heartbeat.url_file,
    )
    for named in secret_files:
        file = config.directory / named if named is not None else None
        if file is None or not file.exists():
            continue
        found = file.stat()
        # Kubernetes gives the file of a Secret to root and to the pod's own group, which we cannot change.
        others = 0o077 if found.st_uid == os.geteuid() else 0o007
        if found.st_mode & others:
            yield f"{file} is readable by others. Mend this with: chmod 600 {file}"


def _odd_write_key(config: Config) -> Iterator[str]:
    """Segment does not say that a key is wrong, so its form is all that shows a mistake (semantics 4.7)."""
    if is_segments_own(config.settings.segment.url) and not looks_like_a_write_key(config.secrets.write_key):
        yield (
            "Segment's write keys are 32 letters and digits, and this one is not. Check "
            f"{SEGMENT_KEY_VARIABLE} (or segment.write_key_file): Segment refuses or silently drops what is "
            "sent with a wrong key."
        )


def prove_gladly(config: Config, tuning: Tuning = DEFAULT_TUNING) -> str:
    """
    Ask Gladly for its clock and its feed, and return what that proves.

    Raises:
        CredentialsRefusedError: Gladly refused the user name or the token.
        RetryableError, UnexpectedAnswerError: Gladly is not there, or something else answered.
    """
    client = gladly_client(config, Stop(), tuning)
    try:
        client.clock()
        skew = client.gladly_clock.skew.total_seconds()
        shows_profiles = ChangeFeed(client, config.settings.sync.overlap).ask_for_profiles()
    finally:
        client.close()
    note = (
        f"\nThis machine's clock is {skew:+.0f} s off Gladly's; set it."
        if abs(skew) > _CLOCK_WARNING_S
        else ""
    )
    if not shows_profiles:
        note += (
            "\nIts feed does not know CUSTOMER_PROFILE. So each profile is looked up anew, and a deletion is "
            "noticed at the next look-up."
        )
    return f"accepts the API token of {config.settings.gladly.username}{note}"


def reach_segment(config: Config, tuning: Tuning = DEFAULT_TUNING) -> str:
    """
    Reach Segment without making an event, and return what that proves.

    Raises:
        CredentialsRefusedError: It refused the write key.
        RetryableError, UnexpectedAnswerError: Segment is not there, or something else answered.
    """
    client = segment_client(config, Stop(), tuning)
    try:
        client.reach()
    finally:
        client.close()
    return "answers. This proves neither the write key nor the region"


def _state(config: Config, schema: Schema) -> str:
    """Look at the state file without opening it for writing, which leaves the file as it is."""
    path: Path = config.state_path
    if not is_there(path):
        take_role(path.resolve(), MAIN, create=False).close()
        return f"{path} will be created by the first cycle"
    check_writable(path)
    with Reader(path, schema) as reader:
        verdict = reader.quick_check()
        if verdict != "ok":
            raise damaged(path, verdict)
        watermark, version, bound_to = reader.watermark(), reader.version(), reader.organization()
    host = organization_host(config)
    if bound_to is not None and bound_to != host:
        raise other_organization(path, bound_to, host)
    older = (
        f"\nIt has schema version {version}; the next `once`, `run` or `resync` will migrate it to "
        f"{schema.version}."
        if version < schema.version
        else ""
    )
    try:
        take_role(path.resolve(), MAIN).close()
    except StateLockedError:
        return f"{path} is whole, and in use by a running cycle or daemon{older}"
    since = f"watermark {watermark['position']}" if watermark else "no watermark yet"
    whose = f"; it belongs to {bound_to}" if bound_to else ""
    return f"{path} is whole ({since}{whose}){older}"


def _metrics(config: Config) -> str:
    """Prove that the address is free, or that a daemon shows its metrics there."""
    from sync.telemetry.metrics_page import are_shown_at, listening

    address = config.settings.metrics.address
    assert address is not None
    try:
        listening(*address).server_close()
    except SettingsError:
        if are_shown_at(*address):
            return f"a running daemon shows its metrics at {config.settings.metrics.listen}"
        raise
    return f"{config.settings.metrics.listen} is free: `run` will show the metrics there"


def _heartbeat(config: Config) -> str:
    """Say where the heartbeat will go. It is not sent: the monitor would take it for a good cycle."""
    return f"will be sent to {urlsplit(config.secrets.heartbeat_url or '').hostname} after each good cycle"
