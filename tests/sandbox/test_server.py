"""The whole sandbox runs until it is told to stop, and leaves nothing running."""

import signal
import subprocess
import sys
import threading

import pytest
import requests

from sandbox import Sandbox, serve


def test_serving_ends_when_it_is_told_to_and_says_when_it_is_ready():
    stop, ready = threading.Event(), threading.Event()
    urls = []

    def on_ready(sandbox):
        urls.extend([sandbox.gladly_url, sandbox.segment_url])
        ready.set()

    serving = threading.Thread(
        target=serve,
        kwargs={"gladly_port": 0, "segment_port": 0, "public_api_port": 0, "ready": on_ready, "stop": stop},
    )
    serving.start()
    assert ready.wait(5)
    assert "local Gladly" in requests.get(urls[0], timeout=5).text
    assert "local Segment" in requests.get(urls[1], timeout=5).text
    stop.set()
    serving.join(5)
    assert not serving.is_alive()
    with pytest.raises(requests.ConnectionError):
        requests.get(urls[0], timeout=5)


def test_serving_ends_on_sigterm():
    program = """
import sandbox
ports = {"gladly_port": 0, "segment_port": 0, "public_api_port": 0}
sandbox.serve(**ports, ready=lambda s: print(s.gladly_url, flush=True))
print("ended")
"""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program], stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout.readline().startswith("http://127.0.0.1:")
        served.send_signal(signal.SIGTERM)
        assert served.stdout.read() == "ended\n"
    assert served.returncode == 0


def test_a_port_that_is_taken_is_an_error_that_leaves_nothing_running(sandbox):
    taken = int(sandbox.segment_url.rpartition(":")[2])
    with pytest.raises(OSError), Sandbox(segment_port=taken):
        pass
