"""A raw server writes whatever it is told to."""

import requests

from support.raw_server import RawServer


def test_a_raw_server_writes_whatever_it_is_told():
    def handler(request, sock):
        assert request.body == b"hello"
        assert request.header("CONTENT-TYPE") == "text/plain"
        sock.sendall(b"HTTP/1.0 200 Fine\r\n\r\n" + request.path.encode() + b"|" + request.query.encode())

    with RawServer(handler) as server:
        got = requests.post(
            server.url + "/a?b=c", data=b"hello", headers={"Content-Type": "text/plain"}, timeout=5
        )
        assert (got.reason, got.content) == ("Fine", b"/a|b=c")
        assert server.seen == [("POST", "/a?b=c")]
