"""
Decides who may ask for what, before Datasette sees the request.

The state file holds names, e-mails and phone numbers, and every web page that the person has open can reach
a loopback port. So only GET and HEAD are answered, and only for the addresses that our pages need. The name
in the address must be one of this machine's, which stops DNS rebinding. Scripts, images and forms of another
site get nothing. The answers forbid the browser to load anything from elsewhere, or to run what is not in
`assets/`.

Every user of this machine can reach a loopback port, too. So every request must carry a token, which is told
only to the person who started the inspector. A browser without it gets a page that says where the address
with the token is.
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from inspector.pages.frame import NOT_FOUND

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PATHS = re.compile(
    r"/|/(overview|conversations?|favicon\.ico)|/(api|assets)/[\w.-]+|/state(\.json|\.csv)?|/state/.+"
)

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),  # no answer stays in the browser's cache on disk
)
_REPLACED = frozenset(name for name, _ in _HEADERS) | {
    b"set-cookie"
}  # no page needs a cookie but the one made here

# What the page for a browser without the token is made of. They say nothing of the state file.
_NO_TOKEN_PAGE = Path(__file__).parent / "templates" / "no_token.html"
_OPEN_TO_ALL = frozenset({"/assets/inspector.css", "/assets/icon.svg"})

_NO_TOKEN = "Open the address that gladly-segment printed: it carries the token of this inspector."  # noqa: S105

# The name of the token in an address.
TOKEN = "token"  # noqa: S105 (a name)


class _Refusal(NamedTuple):
    """Why a request is refused."""

    status: int
    sentence: str


class AccessControl:
    """
    An application that answers only those requests that may see the state file.

    Args:
        app: The application that answers them.
        host: The address or name on which the server listens.
        token: What a request must carry: in its address the first time, and in a cookie from then on.
    """

    def __init__(self, app: App, host: str, token: str) -> None:
        self._app = app
        self._token = token
        # Cookies do not tell ports apart. So each inspector has a cookie of its own name.
        self._cookie = f"inspector-{hashlib.sha256(token.encode()).hexdigest()[:12]}"
        self._names = set(_LOOPBACK_NAMES)
        self._any_address = host.lower() not in self._names
        if self._any_address:
            # Other machines may ask, too: by an address, or by a name of this machine.
            self._names |= {host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in _REPLACED]
                message = {**message, "headers": [*kept, *_HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal and refusal.status == 404 and _is_for_a_person(scope):
            scope = {**scope, "path": NOT_FOUND, "raw_path": NOT_FOUND.encode()}
            refusal = None
        if refusal:
            kind, body = b"text/plain", f"{refusal.sentence}\n".encode()
            if refusal.sentence == _NO_TOKEN and _is_for_a_person(scope):
                kind, body = b"text/html", _NO_TOKEN_PAGE.read_bytes()
            headers = [(b"content-type", kind + b"; charset=utf-8"), (b"allow", b"GET, HEAD")]
            await send_guarded({"type": "http.response.start", "status": refusal.status, "headers": headers})
            await send_guarded({"type": "http.response.body", "body": body})
            return
        if location := self._without_token(scope):
            cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Lax"
            headers = [(b"location", location.encode("latin-1")), *_HEADERS, (b"set-cookie", cookie.encode())]
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        """Return why a request is refused. Return None for one that is allowed."""
        headers = _headers_of(scope)
        host = headers.get(b"host", "")
        if not self._is_ours(host):
            return _Refusal(
                403, "This is not an address of the inspector. Open the one that gladly-segment printed."
            )
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return _Refusal(403, "Another site may not read the state file.")
        if headers.get(b"sec-fetch-site") in ("cross-site", "same-site") and not _is_link(scope, headers):
            return _Refusal(403, "Another site may not read the state file.")
        if scope["method"] not in ("GET", "HEAD"):
            return _Refusal(405, "The inspector only shows; nothing here can be changed.")
        if scope["path"] in _OPEN_TO_ALL:
            return None
        if not (self._is_token(_token_in_address(scope)) or self._is_token(self._cookie_of(headers))):
            return _Refusal(403, _NO_TOKEN)
        if not _PATHS.fullmatch(scope["path"]):
            return _Refusal(404, "There is no such page.")
        return None

    def _is_token(self, value: str | None) -> bool:
        return value is not None and hmac.compare_digest(value.encode("latin-1"), self._token.encode())

    def _cookie_of(self, headers: dict[bytes, str]) -> str | None:
        for pair in headers.get(b"cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._cookie:
                return value
        return None

    def _without_token(self, scope: Scope) -> str | None:
        """
        Return the address without its token, to which the browser goes on with the cookie. Return None for an
        address without one. So no token stays in the browser's list of visited pages.
        """
        if _token_in_address(scope) is None:
            return None
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = urlencode([(name, value) for name, value in pairs if name != TOKEN])
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        return f"/{path.lstrip('/')}?{query}".removesuffix("?")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if not name:
            return False
        return name.lower() in self._names or (self._any_address and _is_address(name))


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def _headers_of(scope: Scope) -> dict[bytes, str]:
    return {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _is_for_a_person(scope: Scope) -> bool:
    """Return whether a browser asks for a page, and not a script or a program for data."""
    return "text/html" in _headers_of(scope).get(b"accept", "")


def _token_in_address(scope: Scope) -> str | None:
    found = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get(TOKEN)
    return found[-1] if found else None


def _is_link(scope: Scope, headers: dict[bytes, str]) -> bool:
    """Return whether the person followed a link from another site, and the link brings no SQL of its own."""
    followed = headers.get(b"sec-fetch-mode") == "navigate" and headers.get(b"sec-fetch-dest") == "document"
    return followed and "sql" not in parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
