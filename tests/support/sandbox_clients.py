"""What the sandbox's tests share: a known moment, and plain sessions that know where to go."""

from datetime import UTC, datetime

import requests

from sandbox import Sandbox

NOON = datetime(2026, 11, 2, 12, 0, 0, 250_000, tzinfo=UTC)


class Client(requests.Session):
    """A plain session that knows an address and its credentials."""

    def __init__(self, base_url: str, auth: tuple[str, str]) -> None:
        super().__init__()
        self.trust_env = False
        self.base_url = base_url
        self.auth = auth

    def request(self, method, url, *args, **kwargs):
        kwargs.setdefault("timeout", 10)
        kwargs["allow_redirects"] = False
        return super().request(method, self.base_url + url, *args, **kwargs)


def gladly_client(sandbox: Sandbox, url: str | None = None) -> Client:
    """Return a session for the sandbox's Gladly, or for what stands before it at *url*."""
    auth = (sandbox.gladly.username, sandbox.gladly.api_token)
    return Client((url or sandbox.gladly_url) + "/api/v1", auth)


def segment_client(sandbox: Sandbox, url: str | None = None) -> Client:
    """Return a session for the sandbox's Segment, or for what stands before it at *url*."""
    return Client((url or sandbox.segment_url) + "/v1", (sandbox.segment.write_key, ""))
