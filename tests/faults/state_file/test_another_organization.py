"""The state file is used with another organization, or with another write key."""

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest

from sandbox import Sandbox
from state.errors import StateFileError
from state.instants import from_text
from state.reader import Reader
from state.records import EventStatus, TakenIn, Transition
from state.store import Store
from support.daemon import Daemon
from support.endpoints import BATCH
from support.processes import errors_of
from support.proxy import Proxy
from support.proxy_actions import swallow
from support.state_samples import event, whole_file
from support.worlds import busy_minutes, history
from sync.events.message_id import Origin, fingerprint, message_id
from sync.runtime.build import organization_host
from sync.settings.loading import load

KEYS = [f"{letter}{'0' * 31}" for letter in "ab"]


@pytest.fixture
def proxy(sandbox):
    """Stand between the sync and Segment."""
    with Proxy(sandbox.segment_url) as running:
        yield running


@pytest.fixture
def bound(installation):
    """A state file that has seen a cycle of `acme`. Requests to it would be seen by the sandbox."""
    with Store(installation.state_path) as store:
        store.organization.bind("acme.gladly.com", "f", lambda *_: "id")
    return installation


@pytest.mark.parametrize(
    "command",
    [["run"], ["once"], ["once", "--dry-run"], ["resync", "--since", "1h"], ["check"]],
    ids=" ".join,
)
def test_a_file_of_another_organization_is_refused(bound, command):
    """Exit 2 and a sentence with both hosts, before any request, and nothing is written (faults H1.16)."""
    before = whole_file(bound.state_path)
    done = bound.run(*command)
    assert done.returncode == 2
    said = errors_of(done) + done.stdout
    assert "belongs to the organization at acme.gladly.com, and the settings name localhost" in said
    assert whole_file(bound.state_path) == before
    if command != ["check"]:
        assert bound.sandbox.gladly_requests == []
        assert bound.sandbox.segment_requests == []


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://acme.gladly.com", True),
        ("https://ACME.gladly.com:443", True),
        ("https://acme.us-1.gladly.com", False),
        ("https://acme.gladly.qa", False),
        ("https://acme.gladly.com.example", False),
        ("https://acme.gladly.com:8443", False),
        ("http://localhost:8410", False),
    ],
)
def test_one_organization_has_one_host_however_it_is_written(tmp_path, monkeypatch, url, same):
    """The port of HTTPS and capital letters make no other organization (faults H1.16)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLADLY_SEGMENT_GLADLY__BASE_URL", url)
    monkeypatch.setenv("GLADLY_SEGMENT_GLADLY__USERNAME", "sync@example.com")
    host = organization_host(load(None, with_secrets=False))
    with Store(tmp_path / "state.db") as store:
        store.organization.bind("acme.gladly.com", "f", lambda *_: "id")
        with nullcontext() if same else pytest.raises(StateFileError, match="belongs to the organization at"):
            store.organization.bind(host, "f", lambda *_: "id")


def test_a_sandbox_may_come_back_on_other_ports(installation):
    """All addresses of this machine are one host: a sandbox's file stays usable (faults H1.16)."""
    history(installation.sandbox)
    assert installation.run("once").returncode == 0
    with Reader(installation.state_path) as reader:
        assert reader.organization() == "localhost"
    with Sandbox(pace=1, lateness_s=0, requests_per_second=None) as another:
        installation.sandbox = another
        history(another)
        assert installation.run("once").returncode == 0


def test_what_is_pending_under_another_write_key_leaves_under_ids_of_the_new_one(
    begin, sandbox, proxy, tuned
):
    """
    Segment took events of which the answer was lost, and then the write key is changed. The new source gets
    them under its own ids, which a state file begun anew would make as well (faults H1.18).
    """
    tuned(retry={"max_attempts": 1})
    busy_minutes(sandbox, 3)
    proxy.on(BATCH, swallow("reset"), times=1)
    first = begin(segment=proxy.url)
    assert first.run().errors != []
    lost = {row["message_id"] for row in first.events()}
    first.close()
    sandbox.segment.write_key = KEYS[1]
    second = begin()
    assert second.run().errors == []
    origin = Origin(fingerprint(KEYS[1]), second.pipeline.ends.gladly.host.address)
    rows = second.events()
    assert len(rows) == len(lost) == 6
    assert {(row["status"], row["attempts"], row["reason"]) for row in rows} == {("delivered", 1, None)}
    received = {e["messageId"]: e["properties"]["conversationId"] for e in sandbox.inbox.received}
    for row in rows:
        at, transition = from_text(row["occurred_at"]), Transition(row["transition"])
        assert row["message_id"] == message_id(origin, row["conversation_id"], transition, at)
        assert received.pop(row["message_id"]) == row["conversation_id"]
    assert set(received) == lost


def made(store, origin, *statuses):
    """Write an event of each status, as the sync makes it with a write key."""
    events = []
    for number, status in enumerate(statuses):
        conversation, at = f"c-{number}", from_text("2026-11-20T08:00:00.123Z") + timedelta(seconds=number)
        id_ = message_id(origin, conversation, Transition.CLOSED, at)
        one = event(id_, conversation=conversation, transition=Transition.CLOSED, at=at, status=status)
        payload = f'{{"type":"track","messageId":"{id_}","properties":{{"note":"{id_}"}}}}'.encode()
        events.append(replace(one, payload=None if status is EventStatus.SUPPRESSED else payload))
    store.commit(TakenIn(events=events))


@pytest.mark.parametrize("status", list(EventStatus))
def test_a_changed_write_key_makes_new_ids_for_what_is_still_to_be_sent(tmp_path, status):
    """
    The row and the bytes agree on the new id, and nothing else in the bytes changes. What was delivered, or
    is never sent, keeps its id (faults H1.18).
    """
    old, new = (Origin(fingerprint(key), "acme.gladly.com") for key in KEYS)
    with Store(tmp_path / "state.db") as store:
        bind(store, old)
        made(store, old, status, status)
        with Reader(store.path) as reader:
            before = reader.events(limit=9)
            changed = bind(store, new)
            assert bind(store, new) == 0
            after = reader.events(limit=9)
    is_kept = status in (EventStatus.DELIVERED, EventStatus.SUPPRESSED)
    assert changed == (0 if is_kept else 2)
    if is_kept:
        assert after == before
        return
    for was, now in zip(before, after, strict=True):
        at = from_text(was["occurred_at"])
        expected = message_id(new, was["conversation_id"], Transition.CLOSED, at)
        assert now["message_id"] == expected
        payload = now["payload"] if isinstance(now["payload"], dict) else json.loads(now["payload"])
        assert payload["messageId"] == expected
        assert payload["properties"] == {"note": was["message_id"]}
        assert {**now, "message_id": 0, "payload": 0} == {**was, "message_id": 0, "payload": 0}


def bind(store, origin):
    """Bind a store as `build_pipeline` does."""
    return store.organization.bind(
        origin.gladly_host, origin.write_key_fingerprint, lambda *parts: message_id(origin, *parts)
    )


@pytest.mark.parametrize("how", [[], ["--dry-run"]], ids=["resync", "dry run"])
def test_a_resync_with_another_key_than_the_daemons_is_refused(installation, how):
    """Both would make message ids anew for the other's events. Exit 4, before any request (faults H1.18)."""
    assert installation.run("once").returncode == 0
    other = replace(installation, settings=installation.settings | {"SEGMENT_WRITE_KEY": KEYS[1]})
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished")
        asked = len(installation.sandbox.segment_requests)
        done = other.run("resync", "--since", "1h", *how)
        assert done.returncode == 4
        assert "with another write key. Restart it with the new key first" in errors_of(done)
        with Reader(installation.state_path) as reader:
            assert reader.write_key_fingerprint() == fingerprint(
                installation.environment["SEGMENT_WRITE_KEY"]
            )
        assert len(installation.sandbox.segment_requests) == asked
    assert other.run("resync", "--since", "1h").returncode == 0
