"""A host that cannot show that it is Gladly's (faults A19)."""

import http.server
import ssl
import threading

import pytest

from support.tls import certificate
from sync.cli.errors import exit_code_of


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


def test_a_certificate_nobody_vouches_for_is_refused(begin, sandbox, impatient, untrusted):
    """Credentials are never sent there; the message says that it is the certificate (faults A19)."""
    program = begin(gladly=f"https://127.0.0.1:{untrusted.server_port}")
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert "certificate verify failed" in str(error)
    assert f"127.0.0.1:{untrusted.server_port}" in str(error)
    assert untrusted.asked == []


def test_a_host_that_speaks_no_tls_is_said_as_such(begin, sandbox, impatient):
    """`https://` to a plain port: an error of this connection, nothing sent in the clear (faults A19)."""
    program = begin(gladly=sandbox.gladly_url.replace("http://", "https://"))
    (error,) = program.run().errors
    assert "Gladly could not be reached" in str(error)
    assert "0x" not in str(error)
    assert sandbox.gladly_requests == []
