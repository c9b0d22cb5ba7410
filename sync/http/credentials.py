"""Hold credentials as values: what is sent with every request, and what must never be shown."""

from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from urllib.parse import quote


class Credentials(Protocol):
    """Give a `Host` what it needs to know about its credentials, whatever kind they are."""

    def authorization(self) -> str:
        """Return the value of the `Authorization` header."""
        ...

    def secrets(self) -> Sequence[str]:
        """Return every text that must be removed from a host's words before anybody reads them."""
        ...


class BasicCredentials(NamedTuple):
    """
    Hold the user name and the password of HTTP Basic. They are encoded as UTF-8.

    Segment's write key is a user name without a password. The user name is then the secret.
    """

    username: str
    password: str

    def authorization(self) -> str:
        """Return the value of the `Authorization` header."""
        return f"Basic {self._encoded()}"

    def secrets(self) -> Sequence[str]:
        """Return the secret as it is, percent-encoded, and as the header contains it."""
        encoded, secret = self._encoded(), self.password or self.username
        return [text for text in (encoded, encoded.rstrip("="), secret, quote(secret, safe="")) if text]

    def _encoded(self) -> str:
        return b64encode(f"{self.username}:{self.password}".encode()).decode()


class BearerCredentials(NamedTuple):
    """Hold the token of a `Bearer` header."""

    token: str

    def authorization(self) -> str:
        """Return the value of the `Authorization` header."""
        return f"Bearer {self.token}"

    def secrets(self) -> Sequence[str]:
        """Return the token as it is, and percent-encoded."""
        return [text for text in (self.token, quote(self.token, safe="")) if text]
