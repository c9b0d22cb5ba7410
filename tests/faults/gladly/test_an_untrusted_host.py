"""A host cannot prove that it is Gladly's (faults A19)."""

import http.server
import ssl
import threading

import pytest

from support.tls import certificate
from sync.cli.errors import exit_code_of


@pytest.fixture
def untrusted(tmp_path):
    """
    An HTTPS server whose certificate no known authority has signed. Its `asked` holds what it was asked.
    """
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


def test_a_certificate_nobody_vouches_for_is_refused(begin, sandbox, impatient, untrusted):
    """
    The credentials are never sent there. The message says that the certificate is the reason (faults A19).
    """
    program = begin(gladly=f"https://127.0.0.1:{untrusted.server_port}")
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert "certificate verify failed" in str(error)
    assert f"127.0.0.1:{untrusted.server_port}" in str(error)
    assert untrusted.asked == []


def test_a_host_that_speaks_no_tls_is_said_as_such(begin, sandbox, impatient):
    """
    The address says `https://`, and the port speaks plain HTTP. The error names that connection, and nothing
    is sent in clear text (faults A19).
    """
    program = begin(gladly=sandbox.gladly_url.replace("http://", "https://"))
    (error,) = program.run().errors
    assert "Gladly could not be reached" in str(error)
    assert "0x" not in str(error)
    assert sandbox.gladly_requests == []
