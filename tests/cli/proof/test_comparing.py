"""`compare` says whether what Gladly's own integration delivered is what is here, and exactly what is not."""

import gzip
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace

import pytest

from state.instants import to_text
from support.terminal import terminal
from support.their_events import as_theirs, raw_lines, write_as_s3, write_as_table

CLOSED = "Gladly Conversation Closed"


@pytest.fixture
def synced(installation):
    """A world in which a dozen conversations came and went, some of them twice; all of it delivered."""
    clock, world = installation.sandbox.clock, installation.sandbox.world
    clock.set(clock.now().replace(minute=50))  # all of it happens in one hour

    def ago(seconds):
        return clock.now() - timedelta(seconds=seconds)

    agent, topic = world.add_agent("Priya Raman"), world.add_topic("Returns")
    for n in range(12):
        customer = world.add_customer(
            f"Customer {n}",
            emails=[{"normalized": f"c{n}@example.com", "primary": True}],
            phones=[{"normalized": f"+1213555{n:04}", "primary": True}],
            custom_attributes={"membershipTier": "gold", "visits": n, "vip": n % 2 == 0},
        )
        talk = world.open_conversation(customer, agent=agent, at=ago(500 - 10 * n))
        world.add_topic_to(talk, topic, at=ago(300 - n))
        world.close(talk, at=ago(250 - 5 * n))
        if n % 4 == 0:
            world.reopen(talk, at=ago(150 - 5 * n))
            world.close(talk, at=ago(90 - 5 * n))
    assert installation.run("once").returncode == 0
    return installation


@pytest.fixture
def theirs(synced):
    """What Gladly's integration would have delivered: what the sandbox received, with Segment's own ids."""
    return as_theirs(synced.sandbox.inbox.received)


@pytest.fixture
def compare(synced, gladly_segment, tmp_path):
    """Return a function that compares these events, as one object."""

    def call(events, *arguments, **environment):
        path = tmp_path / "theirs.json"
        path.write_bytes(raw_lines(events))
        done = gladly_segment("compare", str(path), "--json", *arguments, **environment)
        return SimpleNamespace(code=done.code, err=done.err, **json.loads(done.out))

    return call


def kinds(found):
    return {(d["property"], d["kind"], d["expected_by"]): d["count"] for d in found.differences}


def test_what_segment_received_is_what_is_here(compare, theirs):
    """Matched by event, conversation and instant, though no messageId is the same."""
    found = compare(theirs)
    assert found.code == 0
    assert found.agree
    assert (found.matched, found.events) == (27, 27)
    assert [found.differences, found.only_theirs, found.only_ours, found.not_delivered_here] == [[]] * 4


@pytest.mark.parametrize("first", [0, 3, -3], ids=["at the beginning", "between", "at the end"])
def test_exactly_what_was_removed_changed_and_added_is_found(compare, theirs, first):
    """3 removed, 2 changed in one property, 1 added; exit code 1."""
    lost = theirs[first:][:3]
    kept = [event for event in theirs if event not in lost]
    for event in kept[5:7]:
        event["properties"] = event["properties"] | {"status": "WAITING"}
    added = kept[8] | {"messageId": "api-added"}
    added["properties"] = added["properties"] | {"conversationId": "a-conversation-of-theirs"}
    found = compare([*kept[:8], added, *kept[8:]])
    assert found.code == 1
    assert not found.agree
    assert kinds(found) == {("status", "other value", ""): 2}
    assert found.matched == 24
    assert [(t["event"], t["count"]) for t in found.only_theirs] == [(added["event"], 1)]
    assert [e["conversation_id"] for t in found.only_theirs for e in t["examples"]] == [
        "a-conversation-of-theirs"
    ]
    removed = sorted((e["event"], e["properties"]["conversationId"]) for e in lost)
    ours = sorted((e["event"], e["conversation_id"]) for o in found.only_ours for e in o["examples"])
    assert ours == removed
    assert sum(o["count"] for o in found.only_ours) == 3
    assert {(o["status"], o["reason"]) for o in found.only_ours} == {("delivered", "")}


@pytest.mark.parametrize("missing", [0, 1])
def test_of_several_closes_one_that_is_missing_is_found(compare, theirs, missing):
    """Two closes of one conversation have one timestamp, that of its creation."""
    closes = {}
    for event in theirs:
        if event["event"] == CLOSED:
            closes.setdefault(event["properties"]["conversationId"], []).append(event)
    twice = next(those for those in closes.values() if len(those) == 2)
    found = compare([e for e in theirs if e is not twice[missing]])
    assert found.code == 1
    assert [(o["event"], o["count"]) for o in found.only_ours] == [(CLOSED, 1)]


def test_the_form_of_the_files_makes_no_difference(gladly_segment, theirs, tmp_path):
    """A folder of S3's, one gzipped file, standard input plain and gzipped, and a warehouse table."""
    folder = write_as_s3(tmp_path / "s3", theirs)
    packed = tmp_path / "events.json.gz"
    packed.write_bytes(gzip.compress(raw_lines(theirs)))
    table = write_as_table(tmp_path / "table.csv", theirs)
    for path in (folder, packed, table):
        done = gladly_segment("compare", str(path))
        assert (done.code, done.err) == (0, ""), done.out
        assert "Both sides agree." in done.out


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_standard_input_is_read(synced, theirs, pack):
    """`-` stands for it, as for other programs."""
    done = subprocess.run(
        [sys.executable, "-m", "sync", "compare", "-"],
        input=pack(raw_lines(theirs)),
        cwd=synced.directory,
        env=synced.environment,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stdout


def test_other_events_of_the_source_and_repeats_are_counted(compare, theirs):
    """An identify call and a page of the same source are no differences; a repeat has the same messageId."""
    others = [{"type": "identify", "userId": "c"}, {"type": "track", "event": "Order Completed"}]
    found = compare([*theirs, theirs[3], *others, others[0]])
    assert found.code == 0
    assert (found.repeats, found.skipped) == (1, {"identify": 2, "Order Completed": 1})


def test_lines_that_cannot_be_read_are_counted_and_named(gladly_segment, theirs, tmp_path):
    """They are not fatal as long as anything is read."""
    path = tmp_path / "theirs.json"
    nobody = theirs[0] | {"properties": {}}
    path.write_bytes(b"{broken\n" + raw_lines(theirs) + b'["a list"]\n' + raw_lines([nobody]) + b"\xff\xfe\n")
    found = json.loads(gladly_segment("compare", str(path), "--json").out)
    assert found["agree"]
    assert found["unreadable"] == {
        "count": 4,
        "examples": [
            {"where": f"{path}, line 1", "why": "it is not a JSON object"},
            {"where": f"{path}, line 29", "why": "it is not a JSON object"},
            {"where": f"{path}, line 30", "why": "the event has no properties.conversationId"},
            {"where": f"{path}, line 31", "why": "it is not a JSON object"},
        ],
    }
    assert f"{path}, line 30" in gladly_segment("compare", str(path)).out


def test_a_gzipped_file_that_was_cut_is_read_as_far_as_it_goes(gladly_segment, theirs, tmp_path):
    """A download that broke off is named, and what it holds is compared."""
    path = tmp_path / "theirs.gz"
    path.write_bytes(gzip.compress(raw_lines(theirs))[:-9])
    found = json.loads(gladly_segment("compare", str(path), "--json").out)
    assert found["matched"] > 0
    assert found["unreadable"]["examples"][-1]["why"] == "the gzip data ends early or is damaged"


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (b"hello\nworld\n", "2 lines are unreadable. The first is"),
        (b"\x00\xff\x01", "line 1: it is neither a JSON object nor the header of a table with the column"),
        (b"{not json\n{nor this\n", "2 lines are unreadable. The first is"),
        (b'{"type": "identify"}\n', "No event of a conversation is among the 1 lines"),
        (b"", "No event of a conversation is among the 0 lines"),
        (None, "does not exist. Name a file, a folder, or - for standard input"),
    ],
)
def test_an_input_that_is_no_input_is_named(synced, gladly_segment, tmp_path, held, says):
    """Exit 2, with a sentence that names the file."""
    path = tmp_path / "theirs.json"
    if held is not None:
        path.write_bytes(held)
    done = gladly_segment("compare", str(path))
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_an_empty_folder_and_a_wrong_interval_are_named(synced, gladly_segment, tmp_path):
    """Exit 2."""
    (tmp_path / "empty").mkdir()
    done = gladly_segment("compare", str(tmp_path / "empty"))
    assert (done.code, "holds no files" in done.err) == (2, True)
    done = gladly_segment("compare", str(tmp_path), "--since", "1h", "--until", "2h")
    assert (done.code, "--since must be before --until" in done.err) == (2, True)


def test_without_a_state_file_there_is_nothing_to_compare_with(gladly_segment, tmp_path):
    """Exit 2, as of every command that needs one."""
    path = tmp_path / "theirs.json"
    path.write_bytes(b"{}")
    done = gladly_segment("compare", str(path))
    assert (done.code, "There is no state file" in done.err) == (2, True)


def test_no_name_and_no_address_is_printed(gladly_segment, theirs, tmp_path):
    """Of a personal property only how it differs is shown (SECURITY.md), on the screen and in JSON."""
    for event in theirs:
        event["properties"] = event["properties"] | {
            "email": event["properties"]["email"].upper(),
            "phone": event["properties"]["phone"].replace("+1", "+1 ("),
            "customerName": "Somebody Else",
            "customAttributes": {"membershipTier": "secret", "shoeSize": 46},
            "newProperty": "very private",
        }
    del theirs[0]["properties"]["customerName"]
    path = tmp_path / "theirs.json"
    path.write_bytes(raw_lines(theirs))
    said = gladly_segment("compare", str(path)).out + gladly_segment("compare", str(path), "--json").out
    for private in (
        "example.com",
        "EXAMPLE.COM",
        "Somebody",
        "Customer 1",
        "1213555",
        "secret",
        "private",
    ):
        assert private not in said
    found = json.loads(said[said.index("{") :])
    assert {(d["property"], d["kind"]): d["count"] for d in found["differences"]} == {
        ("email", "other format"): 27,
        ("phone", "other format"): 27,
        ("customerName", "other value"): 26,
        ("customerName", "missing there"): 1,
        ("customAttributes", "other value"): 27,
        ("newProperty", "missing here"): 27,
    }
    assert all(len(d["examples"]) <= 3 for d in found["differences"])
    attributes = next(d for d in found["differences"] if d["property"] == "customAttributes")
    assert attributes["examples"][0]["attributes"] == ["membershipTier", "visits", "vip"]


def test_what_the_settings_explain_is_shown_and_is_no_disagreement(
    installation, gladly_segment, tmp_path, opened
):
    """Added, left out, hashed, and the time of a close (semantics 1.2, 1.3)."""
    plain = {"GLADLY_SEGMENT_STATE__PATH": str(tmp_path / "plain.db")}
    world = installation.sandbox.world
    world.close(opened())
    assert gladly_segment("once", **plain).code == 0
    theirs = tmp_path / "theirs.json"
    theirs.write_bytes(raw_lines(as_theirs(installation.sandbox.inbox.received)))
    ours = {
        "GLADLY_SEGMENT_PROPERTIES__ADD": "createdAt,closedAt",
        "GLADLY_SEGMENT_PROPERTIES__LEAVE_OUT": "customerName",
        "GLADLY_SEGMENT_PROPERTIES__HASH": "email",
        "GLADLY_SEGMENT_SYNC__CLOSED_TIMESTAMP": "closed",
    }
    assert gladly_segment("once", **ours).code == 0
    done = gladly_segment("compare", str(theirs), "--json", **ours)
    found = json.loads(done.out)
    assert (done.code, found["matched"]) == (0, 2), done.out
    assert {(d["property"], d["expected_by"]): d["count"] for d in found["differences"]} == {
        ("email", "properties.hash"): 2,
        ("customerName", "properties.leave_out"): 2,
        ("createdAt", "properties.add"): 2,
        ("closedAt", "properties.add"): 1,
        ("timestamp", "sync.closed_timestamp"): 1,
    }
    assert "(expected: properties.hash)" in gladly_segment("compare", str(theirs), **ours).out
    assert gladly_segment("compare", str(theirs)).code == 1


def test_what_is_not_delivered_here_has_its_reason(compare, synced, theirs):
    """They delivered it, and here it is rejected or suppressed. What nobody sent is no difference."""
    ids = [e["messageId"] for e in synced.sandbox.inbox.received]
    with closing(sqlite3.connect(synced.state_path)) as db, db:
        for id_, status, reason in (
            (ids[2], "rejected", "Segment answered 400: no"),
            (ids[3], "suppressed", "customer was deleted"),
            (ids[4], "suppressed", "customer was deleted"),
        ):
            db.execute("UPDATE events SET status = ?, reason = ? WHERE message_id = ?", (status, reason, id_))
    found = compare([e for n, e in enumerate(theirs) if n != 4])
    assert found.code == 1
    assert sorted((d["status"], d["reason"], d["count"]) for d in found.not_delivered_here) == [
        ("rejected", "Segment answered 400: no", 1),
        ("suppressed", "customer was deleted", 1),
    ]
    assert [(o["status"], o["reason"], o["count"]) for o in found.only_ours] == [
        ("suppressed", "customer was deleted", 1)
    ]
    assert compare([e for n, e in enumerate(theirs) if n not in (2, 3)]).agree is False
    with closing(sqlite3.connect(synced.state_path)) as db, db:
        db.execute("UPDATE events SET status = 'delivered' WHERE message_id IN (?, ?)", (ids[2], ids[3]))
    assert compare([e for n, e in enumerate(theirs) if n != 4]).agree


def test_a_payload_that_was_erased_is_counted_and_not_compared(compare, synced, theirs):
    """After `state.retention` the event is known, and its properties are not."""
    with closing(sqlite3.connect(synced.state_path)) as db, db:
        db.execute(
            "UPDATE events SET payload = NULL WHERE message_id IN (SELECT message_id FROM events LIMIT 5)"
        )
    for event in theirs:
        event["properties"] = event["properties"] | {"status": "odd"}
    found = compare(theirs)
    assert (found.matched, found.erased) == (27, 5)
    assert kinds(found) == {("status", "other value", ""): 22}


def test_what_lies_outside_of_the_common_interval_is_not_judged(compare, synced, theirs, ago):
    """It is found from what both cover, said, and narrowed by --since and --until."""
    early = theirs[0] | {"messageId": "api-early", "receivedAt": "2020-01-01T00:00:00.000Z"}
    early["properties"] = early["properties"] | {"conversationId": "before-our-time"}
    found = compare([*theirs, early])
    assert found.code == 0
    assert found.outside_the_interval == {"theirs": 1, "ours": 0}
    with closing(sqlite3.connect(synced.state_path)) as db:
        assert (found.interval["since"],) == db.execute("SELECT began_at FROM organization").fetchone()
    since, until = to_text(ago(240)), to_text(ago(200))
    narrowed = compare(theirs, "--since", since, "--until", until)
    inside = [e for e in synced.events() if since <= e["occurred_at"] <= until]
    assert narrowed.matched == len(inside) > 0
    assert narrowed.outside_the_interval["theirs"] == 27 - len(inside)


def test_a_comparison_takes_no_lock_and_changes_nothing(compare, synced, theirs):
    """It runs beside a writer in the middle of a transaction, and leaves the file as it was."""
    before = synced.state_path.read_bytes()
    with closing(sqlite3.connect(synced.state_path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert compare(theirs).code == 0
        writer.execute("ROLLBACK")
    assert synced.state_path.read_bytes() == before


def test_nothing_of_theirs_is_left_behind(compare, theirs, tmp_path, monkeypatch):
    """The table of their events is in a directory of its own, which is gone in the end."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    assert compare(theirs).code == 0
    assert not list(directory.iterdir())


def test_on_a_terminal_a_bar_shows_how_far_it_is(synced, theirs, tmp_path):
    """On standard error, so that the answer stays clean."""
    path = tmp_path / "theirs.json"
    path.write_bytes(raw_lines(theirs) + b'{"type": "identify"}\n' * 5_000)
    with terminal() as at:
        done = subprocess.run(
            [sys.executable, "-m", "sync", "compare", str(path), "--json"],
            cwd=synced.directory,
            env=synced.environment | {"TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=at.program,
            timeout=30,
        )
        shown = os.read(at.person, 100_000).decode()
    assert json.loads(done.stdout)["agree"]
    assert "reading" in shown
    assert "lines" in shown
