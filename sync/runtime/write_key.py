"""
Prove that the write key belongs to an enabled source of the right region (semantics 6.3).

Segment answers 200 to a wrong key, a disabled source and the wrong region. Only its Public API tells, and
only with a token.
"""

from typing import NamedTuple
from urllib.parse import urlsplit

from sync.errors import SettingsError, UnexpectedAnswerError
from sync.http.addresses import is_loopback
from sync.runtime.build import public_api_client
from sync.segment.limits import is_segments_own, region_of
from sync.segment.public_api import HiddenKeysError
from sync.settings.secrets import PUBLIC_API_TOKEN_VARIABLE, SEGMENT_KEY_VARIABLE
from sync.settings.sections import Config
from sync.stop import Stop


class Unproved(NamedTuple):
    """Say that a check could prove nothing, for better or worse, and what it would need."""

    says: str

    def __str__(self) -> str:
        return self.says


def prove_write_key(config: Config) -> str | Unproved:
    """
    Return what is proved of the write key, or why nothing can be proved.

    Raises:
        CredentialsRefusedError: The Public API refused the token.
        SettingsError: The addresses are of two regions, or no source of the workspace has the key.
        UnexpectedAnswerError: The source is disabled, or something else answered.
        RetryableError: The Public API is not there.
    """
    segment = config.settings.segment
    if config.secrets.public_api_token is None:
        return _without_token(segment.url)
    if is_segments_own(segment.public_api) and not is_segments_own(segment.url):
        return Unproved(
            f"cannot be proved: events go to {urlsplit(segment.url).netloc}, which is not Segment itself.\n"
            "Look for the first event at that receiver."
        )
    _check_regions(segment.url, segment.public_api)
    api = public_api_client(config, Stop())
    assert api is not None
    try:
        workspace = api.workspace()
        source = api.source_with(config.secrets.write_key)
    except HiddenKeysError as error:
        return Unproved(f"cannot be proved. {error}")
    finally:
        api.close()
    if source is None:
        raise SettingsError(
            f"No source of the workspace {workspace.name!r} has the write key. Segment answers 200 and drops "
            f"the events. Check {SEGMENT_KEY_VARIABLE} (or segment.write_key_file), and that the token is of "
            "the workspace that the events are for."
        )
    if not source.is_enabled:
        raise UnexpectedAnswerError(
            f"The write key's source {source.name!r} is disabled. Segment answers 200 and drops the events. "
            "Enable the source in Segment."
        )
    region = region_of(segment.url)
    where = f", in the region of segment.region ({region})" if region is not None else ""
    return f"belongs to the enabled source {source.name!r} of the workspace {workspace.name!r}{where}"


def _without_token(url: str) -> Unproved:
    if not is_segments_own(url) and not is_loopback(url):
        return Unproved(
            f"cannot be proved without a token for Segment's Public API ({PUBLIC_API_TOKEN_VARIABLE}), and "
            "only where Segment itself receives the events.\nLook for the first event at the receiver."
        )
    return Unproved(
        "cannot be proved without a token for Segment's Public API: neither the write key, nor the region, "
        "nor that the source is enabled.\n"
        f"Set {PUBLIC_API_TOKEN_VARIABLE} (or segment.public_api_token_file), or look for the first event in "
        "the source's debugger."
    )


def _check_regions(tracking: str, public_api: str) -> None:
    """Make sure that both addresses are of one region, where they tell: a workspace is in one."""
    ours, theirs = region_of(tracking), region_of(public_api)
    if ours is not None and theirs is not None and ours != theirs:
        raise SettingsError(
            f"segment.public_api_url is of the region {theirs}, and the events go to the region {ours}. "
            "Segment silently drops events that are sent to the wrong region. Correct segment.region, or "
            "remove segment.public_api_url."
        )
