"""Secrets that are easy to find wherever they come out."""

import base64
import json
from urllib.parse import quote, quote_plus

from support.installation import Installation

TOKEN = "cAnArY/t0ken+4=Gladly&secret"


WRITE_KEY = "cAnArY/wr1te+key=Segment&secret"


def _forms(secret: str, user: str) -> set[bytes]:
    """
    Return the forms in which a secret may be met: plain, in JSON, URL-encoded, and in Base64 at every
    alignment.
    """
    plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    whole = {
        base64.b64encode(text.encode()).rstrip(b"=")
        for text in (secret, f"{user}:{secret}", f"{secret}:", f":{secret}")
    }
    # The part of the secret's Base64 that does not depend on what surrounds it.
    core = {base64.b64encode(b"\0" * pad + secret.encode())[4:-4] for pad in range(3)}
    return {text.encode() for text in plain} | whole | core


def assert_no_canary(installation: Installation, *said: str) -> None:
    """Check that neither the output nor any file of the installation contains a secret, byte for byte."""
    everything = {f"output {n}": text.encode() for n, text in enumerate(said)}
    everything |= {
        file.name: file.read_bytes() for file in installation.directory.rglob("*") if file.is_file()
    }
    forms = _forms(TOKEN, installation.sandbox.gladly.username) | _forms(WRITE_KEY, "")
    found = [(name, form) for name, content in everything.items() for form in forms if form in content]
    assert found == []
