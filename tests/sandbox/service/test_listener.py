"""A service stops and starts on one port, and keeps its connections alive in between."""

import http.client
import threading
import time

import pytest
import requests

from sandbox import Fault
from support.proxy import Proxy
from support.sandbox_clients import EVENT, gladly_client


def test_a_stopped_service_refuses_connections_and_comes_back_on_its_port(sandbox, gladly, segment):
    assert gladly.get("/agents").status_code == 200
    sandbox.stop_gladly()
    with pytest.raises(requests.ConnectionError):
        gladly.get("/agents")
    assert segment.post("/batch", json={"batch": [EVENT]}).status_code == 200
    sandbox.start_gladly()
    assert gladly.get("/agents").status_code == 200
    sandbox.stop_segment()
    sandbox.stop_segment()
    with pytest.raises(requests.ConnectionError):
        segment.post("/batch", json={"batch": [EVENT]})
    sandbox.start_segment()
    assert len(sandbox.inbox) == 1


def test_stopping_does_not_wait_for_a_stalled_answer(sandbox):
    sandbox.faults.add("gladly", "*", Fault(delay_s=60))
    failed = threading.Event()

    def ask():
        with gladly_client(sandbox) as gladly:
            try:
                gladly.get("/agents")
            except requests.ConnectionError:
                failed.set()

    client = threading.Thread(target=ask)
    client.start()
    while sandbox.faults._armed[0].left:
        time.sleep(0.005)
    began = time.monotonic()
    sandbox.stop_gladly()
    assert time.monotonic() - began < 1
    client.join(5)
    assert failed.is_set()


def test_a_connection_is_kept_alive(sandbox):
    with Proxy(sandbox.gladly_url) as proxy, gladly_client(sandbox, proxy.url) as gladly:
        assert [gladly.get("/agents").status_code for _ in range(3)] == [200] * 3
    plain = http.client.HTTPConnection(sandbox.gladly_url.removeprefix("http://"), timeout=5)
    plain.connect()
    first_socket = plain.sock
    for _ in range(20):
        plain.request("GET", "/")
        assert plain.getresponse().read()
        assert plain.sock is first_socket
    plain.close()


def test_answers_on_a_kept_connection_come_at_once(gladly):
    began = time.monotonic()
    for _ in range(20):
        gladly.get("/agents")
    assert time.monotonic() - began < 0.5, "40 ms each is Nagle's algorithm meeting delayed acknowledgements"
