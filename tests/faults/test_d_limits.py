"""What Segment will not take, or takes and throws away, is decided before it is sent (rows D4-D6, D12)."""

import json
import math

import pytest

from sandbox import Fault
from state import PollOutcome
from support.checker import problems
from support.program import (
    BATCH,
    PROFILES,
    busy_minutes,
    fill_outbox,
    line_of,
    payload_of,
    pending,
    quarantined,
    verdicts,
)
from support.raw_server import Proxy, RawResponse, rewrite
from sync.cli.main import exit_code_of
from sync.segment.batches import body_of, pack
from sync.segment.limits import SegmentLimits

EVENT_MAX_BYTES = SegmentLimits().event_max_bytes
BATCH_MAX_BYTES = SegmentLimits().batch_max_bytes

# D4: one bad event


@pytest.mark.parametrize("bad", [0, 499, 999], ids=["the first", "in the middle", "the last"])
def test_d4_one_event_refused_among_a_thousand_is_found_by_halving(begin, sandbox, bad):
    """The 999 others are delivered, each once and in order; the one keeps Segment's reason."""
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(1000)], sandbox.clock.now())
    sandbox.faults.reject_message(lambda event: event["messageId"] == f"message-{bad}")
    result = program.run()
    assert result.errors == []
    assert result.poll.delivered == 999
    rejected = program.events(status="rejected")
    assert [(e["message_id"], e["attempts"]) for e in rejected] == [(f"message-{bad}", 1)]
    assert "invalid event" in rejected[0]["reason"]
    assert rejected[0]["payload"]["messageId"] == f"message-{bad}"
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(1000) if n != bad]
    assert len(sandbox.segment_requests) <= 2 * math.log2(1000) + 2
    posts = len(sandbox.segment_requests)
    program.run()
    assert len(sandbox.segment_requests) == posts


def test_d4_a_rejected_event_goes_out_when_it_is_retried(installation, sandbox):
    """It is shown, can be made pending by its id, and then arrives with the messageId it had."""
    busy_minutes(sandbox, 2)
    sandbox.faults.reject_message(lambda event: event["event"].endswith("Closed"))
    assert installation.run("once").returncode == 0
    rejected = installation.events(status="rejected")
    assert len(rejected) == 2
    sandbox.faults.clear()
    assert installation.run("retry", rejected[0]["message_id"]).returncode == 0
    assert installation.run("once").returncode == 0
    assert sandbox.inbox.received[-1]["messageId"] == rejected[0]["message_id"]
    assert len(installation.events(status="delivered")) == 3


def test_d4_an_error_in_the_middle_of_halving_keeps_what_is_known(begin, sandbox, tuned):
    """Halves already delivered are not sent again, the rest stays pending."""
    tuned(retry={"max_attempts": 1})
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(64)], sandbox.clock.now())
    sandbox.faults.reject_message(lambda event: event["messageId"] == "message-50")
    for status in (None, None, 503):
        sandbox.faults.add("segment", BATCH, Fault(status))
    (error,) = program.run().errors
    assert "503" in str(error)
    assert [e["status"] for e in program.events()] == ["delivered"] * 32 + ["pending"] * 32
    assert program.run().errors == []
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(64) if n != 50]


# D5: events and batches of every size


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["a byte less", "exactly", "a byte more"])
def test_d5_an_event_of_32_kb_is_sent_and_a_larger_one_rejected_before_it_is(begin, sandbox, over):
    """Decided when it is put into the outbox, with its size; the others of its batch are not disturbed."""
    world = sandbox.world
    busy_minutes(sandbox, 2)
    customer = world.add_customer("Big", custom_attributes={"notes": ""}, recorded=False)
    conversation = world.open_conversation(customer)
    program = begin()
    program.run()
    size = next(len(a.raw) for a in sandbox.inbox.attempts if conversation.id.encode() in a.raw)
    sandbox.clock.advance(1)
    world.close(conversation)
    more = EVENT_MAX_BYTES + over - size - len(',"topicIds":[]') - len("CLOSED") + len("OPEN")
    world.update_profile(customer, custom_attributes={"notes": "x" * (more + len("Created") - len("Closed"))})
    sandbox.clock.advance(1)
    result = program.run()
    assert result.errors == []
    ours = program.events(conversation=conversation.id)[-1]
    lengths = [len(a.raw) for a in sandbox.inbox.attempts if b"Conversation Closed" in a.raw]
    if over <= 0:
        assert ours["status"] == "delivered"
        assert max(lengths) == EVENT_MAX_BYTES + over
        assert problems(sandbox) == []
        return
    assert (ours["status"], ours["attempts"]) == ("rejected", 0)
    assert (
        ours["reason"] == f"{EVENT_MAX_BYTES + 1} bytes, and Segment takes at most {EVENT_MAX_BYTES} an event"
    )
    assert max(lengths) < EVENT_MAX_BYTES
    assert all(r.body_bytes < EVENT_MAX_BYTES for r in sandbox.segment_requests)
    assert verdicts(problems(sandbox)) == [("lost", conversation.id)]
    program.store.retry(None)  # it has not become any smaller
    program.run()
    assert program.events(conversation=conversation.id)[-1]["status"] == "rejected"
    assert all(r.status == 200 for r in sandbox.segment_requests)


def test_d5_a_batch_takes_as_many_bytes_as_fit_and_not_one_more(sandbox):
    """On the bytes as sent, the envelope and the commas counted: 500,000, also to the byte."""
    at = sandbox.clock.now()
    envelope = len(b'{"batch":[]}')
    for missing in (-1, 0, 1):
        sizes = [25_000] * 19
        sizes.append(BATCH_MAX_BYTES - envelope - sum(sizes) - len(sizes) - missing)
        events = [pending(n, payload_of(n, size), at) for n, size in enumerate(sizes)]
        batches = list(pack(events, SegmentLimits()))
        assert [len(batch) for batch in batches] == ([20] if missing >= 0 else [19, 1])
        assert len(body_of(batches[0])) == BATCH_MAX_BYTES - missing if missing >= 0 else True


def test_d5_batches_stay_within_segment_s_500_kb_whatever_the_events(begin, sandbox):
    """Nothing is refused for its size: from tiny events to the largest, in one go."""
    program = begin()
    sizes = [300, 32_000, 31_999, 5_000, 400, 12_345, 32_000] * 30
    fill_outbox(program.store, [payload_of(n, size) for n, size in enumerate(sizes)], sandbox.clock.now())
    assert program.run().errors == []
    assert len(sandbox.inbox) == len(sizes)
    posts = sandbox.segment_requests
    assert {r.status for r in posts} == {200}
    assert max(r.body_bytes for r in posts) <= 500_000
    assert all(r.body_bytes > 450_000 for r in posts[:-1])
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(len(sizes))]


@pytest.mark.parametrize(("count", "posts"), [(2_500, [2_500]), (2_501, [2_500, 1])])
def test_d5_no_batch_has_more_than_2500_events(begin, sandbox, count, posts):
    """Over the count Segment answers 200 and drops: it is counted here."""
    program = begin()
    tiny = b'{"type":"track","event":"e","userId":"u","messageId":"message-%d"}'
    fill_outbox(program.store, [tiny % n for n in range(count)], sandbox.clock.now())
    assert program.run().errors == []
    assert sandbox.inbox.dropped == []
    assert len(sandbox.inbox) == count
    seen = [r.body_bytes for r in sandbox.segment_requests]
    assert len(seen) == len(posts)


# D6: refused, or not answered by Segment


@pytest.mark.parametrize("status", [401, 403])
def test_d6_a_refused_write_key_exits_3_after_gladly_was_read(installation, sandbox, status):
    """The sentence names the setting and not the key, and says that nothing is lost; nothing is."""
    busy_minutes(sandbox, 2)
    if status == 401:
        installation.settings["SEGMENT_WRITE_KEY"] = "canary-key"
    else:
        sandbox.faults.add("segment", BATCH, Fault(403, times=None))
    done = installation.run("once")
    assert done.returncode == 3
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert f"refused the write key ({status})" in sentence
    assert "SEGMENT_WRITE_KEY" in sentence
    assert "nothing is lost" in sentence
    assert "canary-key" not in done.stderr
    assert [e["status"] for e in installation.events()] == ["pending"] * 4
    assert len(sandbox.segment_requests) == 1
    installation.settings.pop("SEGMENT_WRITE_KEY", None)
    sandbox.faults.clear()
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


def test_d6_check_says_that_a_200_proves_no_write_key(installation, sandbox):
    """Some edges of Segment's answer 200 to any key and drop the events: nobody is told that all is well."""
    sandbox.segment.check_write_key = False
    installation.settings["SEGMENT_WRITE_KEY"] = "wrong"
    done = installation.run("check")
    assert done.returncode == 0
    assert "does not prove the write key" in done.stdout
    assert "debugger" in done.stdout
    sandbox.segment.check_write_key = True
    refused = installation.run("check")
    assert refused.returncode == 3
    assert "refused the write key" in refused.stdout


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        pytest.param(b'{"success":false}', None, "answered that it failed", id="success false"),
        pytest.param(
            b'{"success": false, "message": "x"}', "text/plain", "failed", id="success false, as text"
        ),
        pytest.param(b"<html>login</html>", "text/html", "answered the events with a page", id="a page"),
        pytest.param(
            b"please log in", "text/html", "answered the events with a page", id="a page without tags"
        ),
        pytest.param(b" <!doctype html>", "text/plain", "with a page", id="a page that says it is text"),
    ],
)
def test_d6_a_200_that_is_not_segment_s_delivers_nothing(begin, sandbox, impatient, body, content_type, says):
    """The events stay pending, the error says what came, and they go out when Segment answers."""
    busy_minutes(sandbox, 2)
    sandbox.faults.add("segment", BATCH, Fault(200, body=body, content_type=content_type, times=None))
    program = begin()
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert says in str(error)
    assert "pending" in str(error)
    assert program.statuses() == {"pending"}
    sandbox.faults.clear()
    assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"success":true}', b"ok", b"null", b"\xff"])
@pytest.mark.parametrize("status", [200, 202, 204])
def test_d6_any_other_2xx_delivers(begin, sandbox, status, body):
    """Segment-compatible receivers answer with an empty body, or one of their own."""
    busy_minutes(sandbox, 1)
    body = b"" if status == 204 else body
    sandbox.faults.add("segment", BATCH, Fault(status, body=body, taken=True))
    program = begin()
    assert program.run().errors == []
    assert program.statuses() == {"delivered"}
    assert problems(sandbox) == []


@pytest.mark.parametrize("status", [404, 405, 410, 418, 451])
def test_d6_an_answer_that_no_segment_gives_is_an_error_and_rejects_nothing(begin, sandbox, status):
    """A wrong address must not use up events: they stay pending, and the sentence names the setting."""
    busy_minutes(sandbox, 2)
    sandbox.faults.add("segment", BATCH, Fault(status, times=None))
    program = begin()
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert f"answered {status}: that is not Segment's batch endpoint" in str(error)
    assert "segment.base_url" in str(error)
    assert len(sandbox.segment_requests) == 1
    assert program.statuses() == {"pending"}


# D12: who it is about


def _profile(**changes):
    def change(answer):
        profile = json.loads(answer.body) | changes
        shown = {key: value for key, value in profile.items() if value is not ...}
        return RawResponse(200, "OK", answer.headers, json.dumps(shown).encode())

    return rewrite(change)


@pytest.mark.parametrize("id_", [..., ""], ids=["left out", "empty"])
def test_d12_a_profile_without_an_id_is_sent_under_the_id_it_was_asked_for(begin, sandbox, id_):
    """Never without a userId, which Segment would take and throw away."""
    busy_minutes(sandbox, 2)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(PROFILES, _profile(id=id_))
        assert begin(gladly=proxy.url).run().errors == []
    assert problems(sandbox) == []
    assert sandbox.inbox.dropped == []


@pytest.mark.parametrize("id_", [17, None, True, ["x"], {"id": "x"}, 1.5], ids=repr)
def test_d12_a_profile_whose_id_is_no_text_is_an_error_before_the_outbox(begin, sandbox, impatient, id_):
    """Nothing is made up or sent; the watermark waits, and when it is mended nothing is missing."""
    busy_minutes(sandbox, 2)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(PROFILES, _profile(id=id_))
        program = begin(gladly=proxy.url)
        (error,) = program.run().errors
        assert exit_code_of(error) == 1
        assert "Gladly" in str(error)
        assert "profile" in str(error).lower()
        assert program.events() == []
        assert sandbox.segment_requests == []
        proxy.script.clear()
        assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    "customer", [b'""', b"null", b"17", b'"a b"', b'"a\\nb"', b'["x"]', b'"' + b"x" * 300 + b'"']
)
def test_d12_a_change_without_a_customer_is_kept_aside(begin, sandbox, customer):
    """A line whose customer is nobody's id is quarantined with its reason; nothing was asked or sent."""
    busy_minutes(sandbox, 1)
    bad = line_of("from-nowhere", sandbox).replace(b'"nobody"', customer)
    sandbox.faults.rewrite_feed(lambda lines: [*lines, bad])
    program = begin()
    result = program.run()
    assert (result.errors, result.poll.outcome) == ([], PollOutcome.DEGRADED)
    ((line, reason),) = quarantined(program.path)
    assert "from-nowhere" in line
    assert "customer" in reason.lower()
    assert problems(sandbox) == []
    assert sandbox.inbox.dropped == []


@pytest.mark.parametrize("length", [100, 200])
def test_d12_a_long_id_is_sent_whole(begin, sandbox, length):
    """What is an id is an id: none is cut or dropped for its length."""
    world = sandbox.world
    customer = world.add_customer("Ana", id="c" * length, recorded=False)
    world.open_conversation(customer, id="v" * length)
    assert begin().run().errors == []
    assert problems(sandbox) == []
    assert sandbox.inbox.dropped == []
