"""An answer is compressed when it should not be, or compressed badly (faults A7)."""

import pytest

from support.checker import problems
from support.endpoints import CONVERSATIONS, EVENTS, PROFILES
from support.proxy import Proxy
from support.proxy_actions import gzip
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize("variant", ["whole", "cut", "bad_crc", "plain"])
def test_events_in_gzip_are_refused_since_a_cut_would_look_like_an_end(begin, sandbox, variant):
    """
    The sync asks for an uncompressed feed. When the feed comes compressed all the same, the watermark stays
    (faults A7).
    """
    busy_minutes(sandbox, 10)
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        proxy.on(EVENTS, gzip(variant))
        program.run()
        before = program.watermark
        result = program.run()
        assert exit_code_of(result.gladly_error) == 1
        assert "compresses the events although asked not to" in str(result.gladly_error)
        assert (program.events(), program.watermark) == ([], before)
        proxy.script.clear()
        assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize("path", [CONVERSATIONS, PROFILES])
@pytest.mark.parametrize("variant", ["whole", "cut", "bad_crc", "plain"])
def test_a_conversation_or_profile_in_bad_gzip_is_asked_for_again(begin, sandbox, impatient, variant, path):
    """
    Half a body, or a body with a wrong checksum, is never taken for the whole. The sync asks again, in the
    next cycle at the latest (faults A7).
    """
    busy_minutes(sandbox, 2)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(path, gzip(variant), times=2)
        program = begin(gladly=proxy.url)
        result = program.run()
        if result.errors:
            assert "Gladly" in str(result.gladly_error)
            assert "<class" not in str(result.gladly_error), "an error is for the person who reads it"
            assert program.events() == []
            assert program.run().errors == []
    assert problems(sandbox) == []


def test_gzip_that_never_becomes_good_is_an_error_after_so_many_tries(begin, sandbox, impatient):
    """Its events wait. The next cycle that can reads it again (faults A7)."""
    busy_minutes(sandbox, 1)
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        proxy.on(PROFILES, gzip("bad_crc"))
        result = program.run()
        tries = [path for _, path in proxy.seen if "customer-profiles" in path]
        assert 2 <= len(tries) <= 12
        assert result.gladly_error is None
        assert "Gladly could not be reached" in program.events()[0]["reason"]
        assert {event["status"] for event in program.events()} == {"recorded"}
        proxy.script.clear()
        program.store.recorded.retry(None)
        program.run()
    assert problems(sandbox) == []
