"""A certificate that no known authority has signed, and a proxy that takes `CONNECT`."""

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Any

from support.proxy import Proxy
from support.raw_server import RawRequest


def certificate(directory: Path, host: str) -> tuple[Path, Path]:
    """Make a certificate for *host* that no known authority has signed. Return its file and its key's."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    is_ip = re.fullmatch(r"[\d.]+", host)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", str(key), "-out", str(cert)]
    command += ["-addext", f"subjectAltName={'IP' if is_ip else 'DNS'}:{host}"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


class TlsProxy(Proxy):
    """
    A proxy that `HTTPS_PROXY` may name. It takes `CONNECT`, and then is the host itself, with a certificate,
    in front of a real server. `connects` holds what was asked for.
    """

    def __init__(self, upstream_url: str, cert: Path, key: Path) -> None:
        import ssl

        super().__init__(upstream_url)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)
        self.connects: list[str] = []

    def _pass(self, request: RawRequest, sock: Any) -> bool | None:
        if request.method != "CONNECT":
            return super()._pass(request, sock)
        self.connects.append(request.target)
        sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with contextlib.suppress(OSError), self._context.wrap_socket(sock, server_side=True) as encrypted:
            self._converse(encrypted)
        return None
