"""HTTP Basic authentication, as both services read it."""

import base64
import binascii

from starlette.datastructures import Headers


def basic_credentials(headers: Headers) -> tuple[str, str] | None:
    """Return user name and password of HTTP Basic. Return None when *headers* hold no readable ones."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
