"""
What an address tells by itself.

This file imports no HTTP library, so that reading the settings does not import one either.
"""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """
    Return whether the URL's host is this machine.

    Credentials are sent without TLS to this machine only.
    """
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
