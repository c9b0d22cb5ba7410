"""The questions of `init`. Each answer is checked at once, at the real end where that is possible."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import click

from state.errors import StateError
from sync.cli.screens.layout import show_line
from sync.errors import CredentialsRefusedError, GladlySegmentError
from sync.runtime.build import Tuning, gladly_client
from sync.runtime.checks import prove_gladly, reach_segment
from sync.runtime.write_key import prove_write_key
from sync.segment.limits import is_segments_own, looks_like_a_write_key
from sync.settings.loading import ENV_PREFIX
from sync.settings.secrets import (
    API_TOKEN,
    PUBLIC_API_TOKEN,
    WRITE_KEY,
    Secrets,
    SecretSource,
    mistakes_in,
)
from sync.settings.sections import (
    SEGMENT_URLS,
    Config,
    GladlySettings,
    LogSettings,
    SegmentSettings,
    Settings,
)
from sync.settings.values import Secret, gladly_base_url, organization_of, public_api_url, segment_base_url
from sync.stop import Stop
from sync.telemetry import log

T = TypeVar("T")

_REGION = f"""
The region of the Segment workspace decides where the events are sent:
  us  {SEGMENT_URLS["us"]}
  eu  {SEGMENT_URLS["eu"]}
In the wrong region, Segment also answers 200, and drops the events. Segment shows the region in the settings
of the workspace."""

_PUBLIC_API = """
Only Segment's Public API can prove the write key and the region. A token for it is optional."""


class Given(NamedTuple):
    """Hold the answers that the command line gives. None asks the person."""

    gladly: str | None
    username: str | None
    region: str | None


def ask_everything(given: Given, directory: Path, tuning: Tuning) -> Config:
    """
    Ask a person for the settings and the secrets that a first cycle needs.

    A wrong answer is asked for again, and no other. Enter keeps an answer that was found wrong or could not
    be checked.

    Args:
        given: The answers that the command line gives. They are checked like the others.
        directory: The directory of the config file.
        tuning: The numbers behind the settings.

    Raises:
        click.Abort: The person pressed Ctrl-C or Ctrl-D.
    """
    log.configure(LogSettings(level="error"))  # the questions and their answers are all that is shown
    once = tuning._replace(retry=tuning.retry._replace(max_attempts=1))
    config = Config(Settings(), Secrets(), directory)
    gladly = _ask(
        "Gladly organization (acme for acme.gladly.com), or the address of another Gladly",
        gladly_of,
        lambda settings: _asked(settings.url, lambda: _reach_gladly(_with(config, gladly=settings), once)),
        given.gladly,
    )
    config = _ask_for_the_agent(_with(config, gladly=gladly), given.username, once)
    click.echo(_REGION)
    segment = _ask("Region (us or eu), or the address of another receiver", segment_of, None, given.region)
    url = os.environ.get(f"{ENV_PREFIX}SEGMENT__PUBLIC_API_URL")
    segment = segment._replace(public_api_url=public_api_url(url) if url else None)
    return _ask_for_the_source(_with(config, segment=segment), once)


def gladly_of(answer: str) -> GladlySettings:
    """
    Return the settings for an organization, or for the address of a sandbox or test server.

    Raises:
        ValueError: It is neither.
    """
    try:
        return GladlySettings(organization=organization_of(answer))
    except ValueError:
        if "://" not in answer:
            raise
        return GladlySettings(base_url=gladly_base_url(answer))


def username_of(answer: str) -> str:
    """
    Return the e-mail address of an agent.

    Raises:
        ValueError: It is none.
    """
    if "@" not in answer.strip():
        raise ValueError(f"{answer!r} is not an e-mail address; write the e-mail of the Gladly agent")
    return answer.strip()


def segment_of(answer: str) -> SegmentSettings:
    """
    Return the settings for a region, or for the address of another receiver with Segment's API.

    Raises:
        ValueError: It is neither.
    """
    region = answer.strip().lower()
    if region == "us":
        return SegmentSettings(region="us")
    if region == "eu":
        return SegmentSettings(region="eu")
    if "://" not in answer:
        raise ValueError(f"{answer!r} is not a region; write us or eu")
    return SegmentSettings(base_url=segment_base_url(answer))


def _ask_for_the_agent(config: Config, given: str | None, tuning: Tuning) -> Config:
    """Ask for the agent's e-mail and token until Gladly accepts both, or the person keeps both."""
    username, token = given, Secret()
    while True:
        earlier = (username, token)
        username = _ask("E-mail of the Gladly agent who is an API User", username_of, None, given, username)
        given = None
        token = _secret("API token of this agent", API_TOKEN, token)
        gladly = config.settings.gladly._replace(username=username)
        config = _with(config, gladly=gladly, secrets=config.secrets._replace(api_token=token))
        if (username, token) == earlier:
            return config
        proof = _asked(gladly.url, lambda config=config: prove_gladly(config, tuning))  # type: ignore[misc]
        if proof is None:
            return config
        _say(proof, "Correct the answer that is wrong. Enter keeps an answer.")


def _ask_for_the_source(config: Config, tuning: Tuning) -> Config:
    """Ask for the write key, and for what proves it, until it is proved or the person keeps it."""
    segment, key, token = config.settings.segment, Secret(), Secret()
    is_provable = is_segments_own(segment.url) or segment.public_api_url is not None
    while True:
        earlier = (segment, key, token)
        if key:
            segment = _ask("Region", segment_of, None, None, segment.base_url or segment.region)
            segment = segment._replace(public_api_url=config.settings.segment.public_api_url)
        key = _secret("Write key of the Segment source", WRITE_KEY, key)
        config = _with(config, segment=segment, secrets=config.secrets._replace(write_key=key))
        problem = _odd_key(config) or _asked(
            segment.url,
            lambda config=config: reach_segment(config, tuning),  # type: ignore[misc]
        )
        if problem is None and is_provable:
            click.echo("" if token else _PUBLIC_API)
            token = _secret(
                "Token for the Public API (Enter leaves it out)", PUBLIC_API_TOKEN, token, optional=True
            )
            config = _with(config, secrets=config.secrets._replace(public_api_token=token or None))
            if token:
                problem = _asked(segment.public_api, lambda config=config: str(prove_write_key(config)))  # type: ignore[misc]
        if problem is None or (segment, key, token) == earlier:
            return config
        _say(problem, "Correct the answer that is wrong. Enter keeps an answer.")


def _ask(
    question: str,
    read: Callable[[str], T],
    check: Callable[[T], str | None] | None,
    given: str | None,
    kept: str | None = None,
) -> T:
    """
    Ask one question until its answer is right, or until the person keeps an answer that was found wrong.

    Args:
        question: What to ask.
        read: Reads the answer. It raises ValueError where the answer can mean nothing.
        check: Returns what is wrong with the answer at the real end, or None. None checks nothing.
        given: The answer, where the command line gives it.
        kept: The answer that Enter stands for.
    """
    while True:
        answer = given if given is not None else click.prompt(question, default=kept)
        given = None
        try:
            value = read(answer)
        except ValueError as error:
            _say(f"{error}.")
            continue
        problem = check(value) if check is not None and answer != kept else None
        if problem is None:
            return value
        kept = answer
        _say(problem, "Correct the answer, or keep it with Enter.")


def _secret(question: str, source: SecretSource, kept: Secret, *, optional: bool = False) -> Secret:
    """Ask for a secret, which the terminal does not show. Take it from its variable where that is set."""
    if written := os.environ.get(source.variable, "").strip():
        click.echo(f"{question}: taken from the variable {source.variable}")
        return Secret(written)
    while True:
        default = "" if kept or optional else None
        answer = click.prompt(question, default=default, show_default=False, hide_input=True).strip()
        if not answer:
            return kept
        mistakes = mistakes_in(answer, source, "as you gave it")
        if not mistakes:
            return Secret(answer)
        _say(*mistakes)


def _asked(url: str, ask: Callable[[], str]) -> str | None:
    """Ask an end. Show what it proves and return None, or return what is wrong."""
    click.echo(f"  asking {url} …")
    try:
        show_line("  ok", ask())
    except (GladlySegmentError, StateError) as error:
        return str(error)
    return None


def _reach_gladly(config: Config, tuning: Tuning) -> str:
    """Ask Gladly for anything. That it refuses a request without a token proves that it is there."""
    client = gladly_client(config, Stop(), tuning)
    try:
        client.clock()
    except CredentialsRefusedError:
        pass
    finally:
        client.close()
    return "Gladly answers"


def _odd_key(config: Config) -> str | None:
    if is_segments_own(config.settings.segment.url) and not looks_like_a_write_key(config.secrets.write_key):
        return "Segment's write keys are 32 letters and digits, and this one is not."
    return None


def _with(
    config: Config,
    *,
    gladly: GladlySettings | None = None,
    segment: SegmentSettings | None = None,
    secrets: Secrets | None = None,
) -> Config:
    settings = config.settings
    settings = settings._replace(gladly=gladly or settings.gladly, segment=segment or settings.segment)
    return config._replace(settings=settings, secrets=secrets or config.secrets)


def _say(*sentences: str) -> None:
    for sentence in sentences:
        click.secho(f"  {sentence}", fg="yellow")
