"""Each action spoils an answer in its own way."""

import gzip as gzip_codec
import time

import pytest
import requests

from support.proxy import Proxy
from support.proxy_actions import (
    cut,
    drip,
    gzip,
    hang_up,
    redirect,
    reframe,
    rewrite,
    stall,
    swallow,
    wrong_length,
)
from support.sandbox_clients import EVENT, FEED, segment_client


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_framed_answer_that_is_cut_is_an_error_to_the_client(proxy, through, framing, how):
    proxy.on("*", cut(1000, how, framing))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        through.get(FEED)


def test_a_close_delimited_answer_that_is_cut_looks_whole(gladly, proxy, through):
    whole = gladly.get(FEED).content
    proxy.on("*", cut(1000, framing="close"), nth=1).on("*", reframe("close"))
    assert through.get(FEED).content == whole[:1000]
    assert through.get(FEED).content == whole


def test_answers_can_be_reframed_in_chunks(gladly, proxy, through):
    proxy.on("*", reframe("chunked"))
    answers = [through.get(FEED) for _ in range(2)]
    assert answers[0].headers["Transfer-Encoding"] == "chunked"
    assert answers[0].content == answers[1].content == gladly.get(FEED).content


def test_a_wrong_length_breaks_the_answer(gladly, proxy, through):
    proxy.on("*", wrong_length(+10), nth=1).on("*", wrong_length(-10), nth=2)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        through.get(FEED)
    assert through.get(FEED).content == gladly.get(FEED).content[:-10]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_stall_goes_on_after_its_time_or_hangs_up(gladly, proxy, through, where):
    proxy.on("*", stall(0.1, where), nth=1).on("*", stall(0.05, where, then="reset"), nth=2)
    began = time.monotonic()
    assert through.get(FEED).content == gladly.get(FEED).content
    assert time.monotonic() - began >= 0.1
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        through.get(FEED)


def test_a_drip_takes_its_time_but_arrives(proxy, through):
    proxy.on("*", drip(bytes_per_s=20))
    began = time.monotonic()
    assert through.get("/agents").content == b"[]"
    assert time.monotonic() - began >= 0.05


def test_gzip_can_be_whole_cut_or_false(gladly, proxy, through):
    whole = gladly.get(FEED).content
    proxy.on("*", gzip(), nth=1).on("*", gzip("cut"), nth=2).on("*", gzip("bad_crc"), nth=3).on(
        "*", gzip("plain")
    )
    assert through.get(FEED).content == whole
    packed = through.get(FEED, stream=True).raw.read(decode_content=False)
    assert gzip_codec.compress(whole).startswith(packed[:3])
    with pytest.raises((requests.exceptions.ContentDecodingError, OSError)):
        through.get(FEED)
    with pytest.raises(requests.exceptions.ContentDecodingError):
        through.get(FEED)


def test_redirects_and_rewritten_answers(proxy, through):
    proxy.on("*", redirect("http://127.0.0.1:9/"), nth=1)
    proxy.on("*", rewrite(lambda a: a.__class__(a.status, a.reason, a.headers, b"[1]")), nth=2)
    moved = through.get("/agents")
    assert (moved.status_code, moved.headers["Location"]) == (302, "http://127.0.0.1:9/")
    assert through.get("/agents").json() == [1]


@pytest.mark.parametrize("how", ["never", "close", "reset"])
def test_a_swallowed_request_has_its_effect_but_no_answer(sandbox, how):
    with Proxy(sandbox.segment_url) as proxy, segment_client(sandbox, proxy.url) as segment:
        proxy.on("/v1/batch", swallow(how), nth=1)
        with pytest.raises((requests.ConnectionError, requests.Timeout)):
            segment.post("/batch", json={"batch": [EVENT]}, timeout=0.2)
        assert len(sandbox.inbox) == 1
        assert segment.post("/batch", json={"batch": [EVENT]}).status_code == 200
        assert sandbox.inbox.repeats == {"m-1": 1}


@pytest.mark.parametrize("after_bytes", [0, 20])
def test_hanging_up_on_a_request_leaves_no_effect(sandbox, after_bytes):
    with Proxy(sandbox.segment_url) as proxy, segment_client(sandbox, proxy.url) as segment:
        proxy.on("*", hang_up(after_bytes), nth=1)
        with pytest.raises(requests.ConnectionError):
            segment.post("/batch", json={"batch": [EVENT]})
        assert len(sandbox.inbox) == 0
