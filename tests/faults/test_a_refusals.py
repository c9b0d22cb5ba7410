"""Gladly refuses, is busy, is down, or is somewhere else (rows A15-A19, A21, A22)."""

import http.server
import itertools
import ssl
import threading
import time
from collections import Counter
from datetime import timedelta
from email.utils import format_datetime

import pytest
import requests
from structlog.testing import capture_logs

from sandbox import Fault, Sandbox
from state.instants import from_text
from support.checker import problems
from support.installation import Installation
from support.program import (
    CONVERSATIONS,
    EVENTS,
    OVERLAP,
    PROFILES,
    TlsProxy,
    busy_minutes,
    certificate,
)
from support.raw_server import Proxy, RawServer, hang_up, redirect
from sync.cli.main import exit_code_of


def one_conversation(sandbox):
    return busy_minutes(sandbox, 1, over_s=60)[0]


# A15: the 24 hours


@pytest.mark.parametrize("skew_s", [-30, 0, 30], ids=["our clock is ahead", "in step", "our clock is behind"])
@pytest.mark.parametrize(
    "age_s",
    [82_700, 82_900, 86_390, 86_399, 86_401, 86_430, 100_000],
    ids=["under 23 h", "over 23 h", "10 s short of 24 h", "1 s short", "1 s over", "30 s over", "28 h"],
)
def test_a15_a_watermark_about_24_hours_old_is_read_whole_by_one_way_or_the_other(
    begin, sandbox, age_s, skew_s
):
    """Gladly's clock decides; what the Events API does not show is read from the report; no loop of 400s."""
    world = sandbox.world
    sandbox.clock.advance(skew_s)
    watermark = sandbox.clock.now() - timedelta(seconds=age_s)
    for n, seconds in enumerate((1, 20, 300, 4_000, 40_000, age_s - 100)):
        at = watermark + timedelta(seconds=seconds)
        conversation = world.open_conversation(world.add_customer(f"C {n}", at=at, recorded=False), at=at)
        world.close(conversation, at=at + timedelta(seconds=15))
    program = begin()
    program.store.reset_watermark(watermark)
    assert program.run().errors == []
    assert program.run().errors == []
    refused = [r for r in sandbox.gladly_requests if r.status == 400]
    assert len(refused) <= 1
    if age_s < 86_390:
        assert refused == []
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 12
    assert program.watermark == sandbox.clock.now().replace(microsecond=0) - OVERLAP


# A16: credentials and parameters that are refused


@pytest.mark.parametrize("status", [401, 403])
def test_a16_a_refused_token_exits_3_and_says_what_to_mend(installation, sandbox, status):
    """The token itself is not in the message; when it is mended, nothing is missing."""
    one_conversation(sandbox)
    if status == 401:
        installation.settings["GLADLY_API_TOKEN"] = "canary-token"
    else:
        installation.settings["GLADLY_SEGMENT_GLADLY__USERNAME"] = sandbox.gladly.unprivileged_username
    done = installation.run("once")
    assert done.returncode == 3
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert f"refused the API token ({status})" in sentence
    assert "GLADLY_API_TOKEN" in sentence
    assert "gladly.username" in sentence
    assert "canary-token" not in done.stderr
    assert [r.path for r in sandbox.gladly_requests] == ["/api/v1/organization"]
    installation.settings.clear()
    installation.settings["GLADLY_SEGMENT_SYNC__START"] = "10m"
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


def test_a16_the_daemon_says_once_that_the_token_is_refused_and_asks_no_more(installation, sandbox):
    """That side pauses, cycles go on, and SIGTERM still ends it at once."""
    one_conversation(sandbox)
    sandbox.gladly.api_token = "another"
    installation.settings |= {"GLADLY_SEGMENT_SYNC__EVERY": "0.1s", "GLADLY_API_TOKEN": "sandbox-token"}
    process = installation.start("run")
    err = ""
    while err.count('"cycle.finished"') < 5:
        line = process.stderr.readline()
        assert line, err
        err += line
    process.terminate()
    err += process.communicate(timeout=10)[1]
    assert process.returncode == 0
    assert err.count('"gladly.failed"') == 1
    assert len(sandbox.gladly_requests) == 1


def test_a16_the_daemon_tries_a_refused_token_again_after_a_pause(begin, sandbox, tuned):
    """Nothing has to be restarted; what was pending is delivered meanwhile."""
    tuned(retry={"max_attempts": 1})
    tuned(refused_pause_s=0.5)
    one_conversation(sandbox)
    program = begin()
    sandbox.stop_segment()
    program.run()
    sandbox.start_segment()
    token, sandbox.gladly.api_token = sandbox.gladly.api_token, "another"
    before = len(sandbox.gladly_requests)
    with capture_logs() as logs:
        for _ in range(3):
            assert [exit_code_of(error) for error in program.run().errors] == [3]
        assert len(sandbox.gladly_requests) == before + 1
        assert program.statuses() == {"delivered"}
        time.sleep(0.5)
        program.run()
        assert len(sandbox.gladly_requests) == before + 2
        sandbox.gladly.api_token = token
        time.sleep(0.5)
        assert program.run().errors == []
    said = Counter(entry["event"] for entry in logs if entry["event"].startswith("gladly"))
    assert said == {"gladly.failed": 1, "gladly.recovered": 1}
    assert problems(sandbox) == []


def test_a16_refused_parameters_exit_1_with_gladly_s_own_words(installation, sandbox):
    """It is asked once, since asking again would not change the answer."""
    one_conversation(sandbox)
    body = b'{"errors":[{"attr":"entities","code":"invalid","detail":"unknown entity"}]}'
    sandbox.faults.add("gladly", EVENTS, Fault(400, body=body, times=None))
    done = installation.run("once")
    assert done.returncode == 1
    assert "answered 400 to /events: unknown entity" in done.stderr
    assert [r.path for r in sandbox.gladly_requests].count(EVENTS) == 1
    sandbox.faults.clear()
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


# A17, A18: the rate


@pytest.mark.parametrize(
    ("asked", "least_s", "most_s"),
    [
        pytest.param(None, 0.3, 1.2, id="nothing"),
        pytest.param("0", 0.0, 0.5, id="0"),
        pytest.param("1", 1.0, 1.9, id="1"),
        pytest.param("+1", 1.0, 1.9, id="a date in 1 s"),
        pytest.param("-60", 0.0, 1.2, id="a date that is past"),
        pytest.param("-1", 0.3, 1.2, id="-1"),
        pytest.param("soon", 0.3, 1.2, id="soon"),
        pytest.param("nan", 0.3, 1.2, id="nan"),
        pytest.param("1e400", 0.3, 1.2, id="1e400"),
        pytest.param("²", 0.3, 1.2, id="a digit that is none"),
    ],
)
def test_a17_a_429_is_waited_for_as_asked_where_that_makes_sense(
    begin, sandbox, tuned, asked, least_s, most_s
):
    """And for a moment of our own where it does not; the same cycle then goes on."""
    tuned(gladly={"default_hold_s": 0.3})
    one_conversation(sandbox)
    headers = {} if asked is None else {"Retry-After": asked}
    if asked in ("+1", "-60"):
        date = sandbox.clock.now().replace(microsecond=0) + timedelta(seconds=int(asked))
        headers = {"Retry-After": format_datetime(date, usegmt=True)}
    sandbox.faults.add("gladly", EVENTS, Fault(429, headers))
    program = begin()
    assert program.run().errors == []
    first, second = (r.at for r in sandbox.gladly_requests if r.path == EVENTS)
    assert least_s <= second - first <= most_s + 1  # a busy machine's second
    assert problems(sandbox) == []


@pytest.mark.parametrize("asked", ["10000000000", "Fri, 31 Dec 9999 23:59:59 GMT"], ids=["number", "date"])
def test_a17_a_wait_beyond_reason_is_capped_and_left_to_a_later_cycle(begin, sandbox, tuned, asked):
    """The cycle fails at once and says so, Gladly is left alone until the cap, and then all goes on."""
    tuned(retry={"patience_s": 0.2})
    one_conversation(sandbox)
    program = begin()
    program.run()
    sandbox.clock.advance(300)
    one_conversation(sandbox)
    sandbox.faults.add("gladly", EVENTS, Fault(429, {"Retry-After": asked}))
    began = time.monotonic()
    result = program.run()
    assert 800 <= result.gladly_error.retry_after_s <= 900
    assert exit_code_of(result.gladly_error) == 1
    assert "429" in str(result.gladly_error)
    asked_before = len(sandbox.gladly_requests)
    for _ in range(3):
        assert len(program.run().errors) == 1
    assert time.monotonic() - began < 5
    assert len(sandbox.gladly_requests) == asked_before
    program.restart()
    assert program.run().errors == []
    assert problems(sandbox) == []


def test_a17_a_capped_wait_ends(begin, sandbox, tuned):
    """With a cap of half a second in place of a quarter of an hour."""
    tuned(retry={"patience_s": 0.1, "longest_retry_after_s": 0.5})
    one_conversation(sandbox)
    sandbox.faults.add("gladly", EVENTS, Fault(429, {"Retry-After": "10000000000"}))
    program = begin()
    assert len(program.run().errors) == 1
    time.sleep(0.6)
    assert program.run().errors == []
    assert problems(sandbox) == []


def rates(moments, window_s=1.0):
    """How many fall into each window of that length that begins with one of them."""
    ordered = sorted(moments)
    return [sum(1 for m in ordered[i:] if m < at + window_s) for i, at in enumerate(ordered)]


def test_a18_beside_a_second_client_our_own_rate_holds_and_everything_arrives(tmp_path):
    """The organization's 10 a second are shared: we keep to ours, and what is refused is asked for again."""
    with Sandbox(pace=1, lateness_s=0, requests_per_second=10) as sandbox:
        busy_minutes(sandbox, 10)
        settings = {"GLADLY_SEGMENT_SYNC__START": "15m", "GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND": "7"}
        ended = threading.Event()

        def other_client():
            with requests.Session() as session:
                session.trust_env = False
                while not ended.wait(0.2):
                    session.get(
                        f"{sandbox.gladly_url}/api/v1/agents",
                        auth=(sandbox.gladly.username, sandbox.gladly.api_token),
                        headers={"User-Agent": "other"},
                        timeout=5,
                    )

        other = threading.Thread(target=other_client)
        other.start()
        try:
            done = Installation(tmp_path, sandbox, settings).run("once")
        finally:
            ended.set()
            other.join()
        assert done.returncode == 0, done.stderr
        ours = [r for r in sandbox.gladly_requests if r.headers["user-agent"] != "other"]
        assert max(rates([r.at for r in ours])) <= 7 + 2
        assert sum(r.status == 429 for r in ours) <= len(ours) / 3
        assert problems(sandbox) == []


def test_a18_a_second_that_is_used_up_is_waited_out(begin, sandbox):
    """`Ratelimit-Remaining-Second: 0` comes with a 200: the next request is left to the next second."""
    busy_minutes(sandbox, 2)
    sandbox.faults.add("gladly", EVENTS, Fault(headers={"Ratelimit-Remaining-Second": "0"}))
    began = time.monotonic()
    assert begin(GLADLY__REQUESTS_PER_SECOND="50").run().errors == []
    moments = [(r.path, r.at) for r in sandbox.gladly_requests]
    (organization, first), (events, _), (_, third), *_ = moments
    assert (organization, events) == ("/api/v1/organization", EVENTS)
    assert 0.9 <= third - first <= 2.0
    assert max(rates([at for _, at in moments])) <= 50 + 2
    assert time.monotonic() - began < 4
    assert problems(sandbox) == []


# A19: Gladly is down, in one way or another


def _refusing(sandbox):
    sandbox.stop_gladly()
    return sandbox.start_gladly


def _answering(status):
    def begin(sandbox):
        sandbox.faults.add("gladly", "*", Fault(status, times=None))
        return sandbox.faults.clear

    return begin


@pytest.mark.parametrize(
    ("fail", "says"),
    [
        *(pytest.param(_answering(n), f"answered {n}", id=str(n)) for n in (408, 500, 502, 503, 504)),
        pytest.param(_refusing, "Connection refused", id="refused"),
    ],
)
def test_a19_a_fault_is_said_when_it_begins_and_when_it_ends(begin, sandbox, impatient, fail, says):
    """However many cycles it lasts; each tries a few times, delivers what is pending, and loses nothing."""
    program = begin()
    program.run()
    sandbox.clock.advance(300)
    one_conversation(sandbox)
    before = program.watermark
    mend = fail(sandbox)
    asked = len(sandbox.gladly_requests)
    with capture_logs() as logs:
        for _ in range(3):
            (error,) = program.run().errors
            assert exit_code_of(error) == 1
            assert says in str(error)
            assert "127.0.0.1" in str(error)
        assert program.watermark == before
        assert len(sandbox.gladly_requests) - asked <= 3 * 5
        mend()
        assert program.run().errors == []
    said = Counter(entry["event"] for entry in logs if entry["event"].startswith("gladly"))
    assert said == {"gladly.failed": 1, "gladly.recovered": 1}
    assert problems(sandbox) == []


def test_a19_another_fault_than_before_is_said_again(begin, sandbox, impatient):
    """A change of the fault is news, its repetition is not."""
    program = begin()
    with capture_logs() as logs:
        for status in (503, 503, 500, 500, 503):
            sandbox.faults.clear()
            sandbox.faults.add("gladly", "*", Fault(status, times=None))
            program.run()
    said = [entry["error"] for entry in logs if entry["event"] == "gladly.failed"]
    assert [sentence.split("answered ")[1][:3] for sentence in said] == ["503", "500", "503"]


@pytest.mark.parametrize("path", [EVENTS, CONVERSATIONS, PROFILES], ids=["feed", "conversation", "profile"])
def test_a19_a_connection_that_is_reset_is_made_again_within_the_cycle(begin, sandbox, impatient, path):
    """Without a word: it is over before anybody could do anything about it."""
    one_conversation(sandbox)
    with Proxy(sandbox.gladly_url) as proxy, capture_logs() as logs:
        proxy.on(path, hang_up(), times=3)
        assert begin(gladly=proxy.url).run().errors == []
    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == ["cycle.finished"]
    assert problems(sandbox) == []


def test_a19_once_waits_longer_from_try_to_try_and_gives_up_in_time(installation, sandbox):
    """At most 12 attempts and 20 s, the waits growing and none the same; exit 1 and one sentence."""
    sandbox.faults.add("gladly", "*", Fault(503, times=None))
    began = time.monotonic()
    done = installation.run("once")
    assert time.monotonic() - began < 20
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error:")] == [
        f"error: Gladly at {sandbox.gladly_url.removeprefix('http://')} answered 503 (an error of its own) "
        "to /organization."
    ]
    moments = [r.at for r in sandbox.gladly_requests]
    assert 3 <= len(moments) <= 12
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    for wait, full in zip(waits, (0.5, 1.0, 2.0, 4.0), strict=False):
        assert 0.5 * full <= wait <= full + 1.0


def test_a19_a_name_that_does_not_resolve_is_said_as_such(begin, sandbox, impatient, monkeypatch):
    """With the name in it, and no more than the name."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    program = begin(gladly="https://acme.invalid")
    (error,) = program.run().errors
    assert str(error).startswith("Gladly could not be reached at acme.invalid: ")
    assert "no answer in time" not in str(error)
    assert "0x" not in str(error)
    assert len(str(error)) < 200


@pytest.fixture
def untrusted(tmp_path):
    """An HTTPS server whose certificate nobody vouches for; `asked` holds what it was asked."""
    cert, key = certificate(tmp_path, "127.0.0.1")
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(dict(self.headers))
            self.send_error(404)

        def handle_one_request(self):
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with Server(("127.0.0.1", 0), Handler) as server:
        plain = server.socket
        server.socket = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        server.asked = asked
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_a19_a_certificate_nobody_vouches_for_is_refused(begin, sandbox, impatient, untrusted):
    """Credentials are never sent there; the message says that it is the certificate."""
    program = begin(gladly=f"https://127.0.0.1:{untrusted.server_port}")
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert "certificate verify failed" in str(error)
    assert f"127.0.0.1:{untrusted.server_port}" in str(error)
    assert untrusted.asked == []


def test_a19_a_host_that_speaks_no_tls_is_said_as_such(begin, sandbox, impatient):
    """`https://` to a plain port: an error of this connection, nothing sent in the clear."""
    program = begin(gladly=sandbox.gladly_url.replace("http://", "https://"))
    (error,) = program.run().errors
    assert "Gladly could not be reached" in str(error)
    assert "0x" not in str(error)
    assert sandbox.gladly_requests == []


# A21, A22: somebody else


@pytest.fixture
def elsewhere():
    """Another host, so to speak: another port. It must not be asked anything."""

    def handler(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with RawServer(handler) as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "path",
    ["/api/v1/organization", EVENTS, CONVERSATIONS, PROFILES],
    ids=["organization", "feed", "conversation", "profile"],
)
def test_a21_a_redirect_elsewhere_is_refused(begin, sandbox, elsewhere, path, status):
    """No credentials go there, the error says what to check, and nothing is taken for gone."""
    one_conversation(sandbox)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(path, redirect(f"{elsewhere.url}/api/v1/events", status))
        program = begin(gladly=proxy.url)
        (error,) = program.run().errors
        assert exit_code_of(error) == 1
        assert f"answered with a redirect ({status}), which is never followed" in str(error)
        assert "gladly.base_url" in str(error)
        assert elsewhere.seen == []
        assert program.events() == []
        proxy.script.clear()
        assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    "to",
    ["http://gladly.example.com/", "https://127.0.0.1:1/", "//127.0.0.1:1/", "/api/v1/other", "", "\x01"],
    ids=["http", "port", "no scheme", "same host", "empty", "garbage"],
)
def test_a21_wherever_it_points_a_redirect_is_refused(begin, sandbox, to):
    """To the same host as well: the API does not move about."""
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, redirect(to))
        (error,) = begin(gladly=proxy.url).run().errors
        assert "never followed" in str(error)
        assert [path for _, path in proxy.seen if "other" in path] == []


def test_a21_of_a_merged_profile_s_redirect_only_the_id_is_believed(begin, sandbox, elsewhere):
    """Gladly answers 301 for a customer merged away; the host that it names is not asked."""
    world = sandbox.world
    first, second = (world.add_customer(name, recorded=False) for name in ("One", "Two"))
    at = sandbox.clock.now() - timedelta(seconds=200)
    world.open_conversation(first, at=at)
    world.merge(first, second, at=at + timedelta(seconds=5))
    with Proxy(sandbox.gladly_url) as proxy:
        path = f"/api/v1/customer-profiles/{first.id}"
        proxy.on(path, redirect(f"{elsewhere.url}/api/v1/customer-profiles/{second.id}", 301))
        assert begin(gladly=proxy.url).run().errors == []
    assert elsewhere.seen == []
    assert [e["userId"] for e in sandbox.inbox.received] == [second.id]
    assert problems(sandbox) == []


def test_a22_neither_netrc_nor_a_proxy_stands_between_us_and_a_loopback_address(installation, sandbox):
    """Our credentials are sent whatever `.netrc` says, and no proxy is asked for 127.0.0.1."""
    one_conversation(sandbox)
    netrc = installation.directory / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\ndefault login a password b\n")
    netrc.chmod(0o600)
    dead = "http://127.0.0.1:9"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    installation.settings |= dict.fromkeys(names, dead) | {
        "NETRC": str(netrc),
        "NO_PROXY": "",
        "no_proxy": "",
        "REQUESTS_CA_BUNDLE": "/nowhere/at/all.pem",
    }
    done = installation.run("once")
    assert done.returncode == 0, done.stderr
    assert {r.user for r in sandbox.gladly_requests} == {sandbox.gladly.username}
    assert {r.user for r in sandbox.segment_requests} == {sandbox.segment.write_key}
    assert problems(sandbox) == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a22_a_proxy_and_a_ca_of_the_environment_are_honoured_and_netrc_is_not(
    installation, sandbox, tmp_path, variable
):
    """What a company sets for all its programs works; the credentials are still the configured ones."""
    one_conversation(sandbox)
    host = "acme.gladly.example.com"
    cert, key = certificate(tmp_path, host)
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {host} login someone password else\n")
    netrc.chmod(0o600)
    with TlsProxy(sandbox.gladly_url, cert, key) as proxy:
        for name in ("NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            installation.settings[name] = ""
        installation.settings |= {
            "GLADLY_SEGMENT_GLADLY__BASE_URL": f"https://{host}",
            "HTTPS_PROXY": proxy.url,
            "https_proxy": proxy.url,
            "NETRC": str(netrc),
            variable: str(cert),
        }
        done = installation.run("once")
        assert done.returncode == 0, done.stderr
        assert set(proxy.connects) == {f"{host}:443"}
    assert {r.user for r in sandbox.gladly_requests} == {sandbox.gladly.username}
    assert all(from_text(e["timestamp"]) for e in sandbox.inbox.received)
    assert problems(sandbox) == []
