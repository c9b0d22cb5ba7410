"""
No secret and no customer is in what others can see: output, logs, the state file, the process list
(semantics 5.4).
"""

import base64
import json
import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from sandbox import Fault, Sandbox
from state.reader import Reader
from state.records import Event, EventStatus, TakenIn, Transition
from state.store import Store
from support.installation import Installation
from support.proxy import Proxy
from support.proxy_actions import answer

TOKEN, KEY = "token-canary+/=9f2c", "key-canary+/=7b1d"
PERSON = {"name": "Canary Birdsong", "email": "canary.birdsong@example.com", "phone": "+12125550142"}

AN_EVENT = Event(
    message_id="m-1",
    conversation_id="c-1",
    customer_id="u-1",
    transition=Transition.CREATED,
    event="Gladly Conversation Created",
    occurred_at=datetime(2026, 11, 20, 8, tzinfo=UTC),
    status=EventStatus.PENDING,
    payload=json.dumps({"type": "track", "userId": "u-1", "messageId": "m-1", "properties": PERSON}).encode(),
)


def disguises(secret, user=""):
    """Return a secret as it is, URL-encoded, and as HTTP Basic sends it."""
    basic = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return {secret, quote(secret, safe=""), basic, base64.b64encode(secret.encode()).decode()}


@pytest.fixture
def installation(tmp_path):
    """The installation has canaries for secrets and a customer to look for, and logs everything."""
    with Sandbox(lateness_s=0, requests_per_second=None, api_token=TOKEN, write_key=KEY) as sandbox:
        customer = sandbox.world.add_customer(
            PERSON["name"],
            emails=[{"normalized": PERSON["email"], "primary": True}],
            phones=[{"normalized": PERSON["phone"], "primary": True}],
        )
        sandbox.world.open_conversation(customer)
        settings = {"GLADLY_SEGMENT_SYNC__START": "10m", "GLADLY_SEGMENT_LOG__LEVEL": "debug"}
        yield Installation(tmp_path, sandbox, settings)


@pytest.fixture
def secrets(installation):
    """Return every form that a secret of this installation may take."""
    basic_key = base64.b64encode(f"{KEY}:".encode()).decode()
    return disguises(TOKEN, installation.sandbox.gladly.username) | disguises(KEY) | {basic_key}


def found_in(text, needles):
    return sorted(needle for needle in needles if needle in text)


def bytes_beside(installation):
    return b"".join(file.read_bytes() for file in installation.directory.rglob("*") if file.is_file()).decode(
        "latin-1"
    )


# What a test can bring about at an end: by the path, or by what stands in front of the end.
TROUBLE = {
    "nothing": lambda proxy: None,
    "401": lambda proxy: proxy.on("*", answer(401)),
    "503": lambda proxy: proxy.on("*", answer(503, {"Retry-After": "600"})),
    "a page": lambda proxy: proxy.on("*", answer(200, {"Content-Type": "text/html"}, b"<html>Hello</html>")),
    "a redirect": lambda proxy: proxy.on("*", answer(307, {"Location": "https://example.com/"})),
    "404": lambda proxy: proxy.on("*", answer(404, {}, b"{}")),
    "not JSON": lambda proxy: proxy.on("*", answer(200, {"Content-Type": "application/json"}, b"{")),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_secret_and_no_customer_is_said_whatever_happens(gladly_segment, installation, secrets, trouble):
    """Both ends fail in many ways. The command is asked for a traceback, and logs everything (faults G1)."""
    with Store(installation.state_path) as store:  # an event to deliver, however Gladly fails
        store.commit(
            TakenIn(position=installation.sandbox.clock.now() - timedelta(minutes=1), events=[AN_EVENT])
        )
    with ExitStack() as stack:
        for side in ("gladly", "segment"):
            proxy = stack.enter_context(Proxy(getattr(installation.sandbox, f"{side}_url")))
            TROUBLE[trouble](proxy)
            installation.settings[f"GLADLY_SEGMENT_{side.upper()}__BASE_URL"] = proxy.url
        ended = gladly_segment("--debug", "once")
        assert proxy.seen != []
    said = ended.out + ended.err
    assert "cycle.finished" in said
    assert found_in(said, secrets) == []
    assert found_in(said, PERSON.values()) == []
    assert found_in(bytes_beside(installation), secrets) == []


def test_no_secret_is_said_by_any_other_command(gladly_segment, installation, secrets):
    """The commands that show or check something say no secret either."""
    assert gladly_segment("once").code == 0
    said = ""
    for arguments in (
        ["check"],
        ["status"],
        ["status", "--json"],
        ["events", "--json"],
        ["once", "--dry-run"],
        ["watermark", "reset", "--to", "1h", "--replay", "--yes"],
    ):
        ended = gladly_segment("--debug", *arguments)
        assert ended.code == 0
        said += ended.out + ended.err
    assert found_in(said + bytes_beside(installation), secrets) == []


def test_wrong_secrets_are_not_repeated(installation, secrets):
    """Whoever mistypes a token reads what is wrong, and not what they typed."""
    mistyped = {"GLADLY_API_TOKEN": TOKEN[:-1] + "X", "SEGMENT_WRITE_KEY": KEY[:-1] + "X"}
    installation.settings |= mistyped
    ended = installation.run("--debug", "once")
    assert ended.returncode == 3
    assert found_in(ended.stdout + ended.stderr, {TOKEN[:-1], KEY[:-1]}) == []


def test_a_running_daemon_shows_no_secret(installation, secrets):
    """
    The log at level debug, the process's arguments and the state file hold no secret, even through failures.
    """
    faults = installation.sandbox.faults
    faults.add("gladly", "*", Fault(status=404, times=1))
    faults.add("segment", "*", Fault(status=404, times=1))
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    daemon = installation.start("run")
    try:
        assert installation.sandbox.inbox.wait_for(1)
        arguments = Path(f"/proc/{daemon.pid}/cmdline").read_text()
        beside = bytes_beside(installation)
        with Reader(installation.state_path) as reader:
            assert reader.last_event() == 1
    finally:
        daemon.send_signal(signal.SIGTERM)
        out, err = daemon.communicate(timeout=20)
    assert daemon.returncode == 0
    assert found_in(arguments + out + err + beside + bytes_beside(installation), secrets) == []
    assert found_in(arguments + out + err, PERSON.values()) == []
    assert [json.loads(line)["event"] for line in err.splitlines()].count("gladly.failed") == 1
