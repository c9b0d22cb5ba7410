"""
Tell what can be known from a URL alone.

This file imports no HTTP library, so that reading the settings imports none either.
"""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """
    Return whether the host of *url* is this machine.

    Credentials are sent without TLS to this machine only.
    """
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
