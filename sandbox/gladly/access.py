"""Who may call the local Gladly, and how often."""

import math

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.gladly.answers import error_answer
from sandbox.gladly.settings import GladlySettings
from sandbox.service.credentials import basic_credentials
from sandbox.service.leaky_bucket import LeakyBucket


class AccessControl:
    """
    Apply the limits to every request under `/api/`, then check its credentials. This is ASGI middleware.

    Args:
        app: The service itself.
        settings: The limits and credentials. The limits are read once, the credentials for every request.
    """

    def __init__(self, app: ASGIApp, settings: GladlySettings) -> None:
        self._app, self._settings = app, settings
        per_second, per_minute = settings.requests_per_second, settings.reports_per_minute
        self._requests = LeakyBucket(per_second, 1.0) if per_second is not None else None
        self._reports = LeakyBucket(per_minute, 60.0) if per_minute is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on to the service."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        limits: dict[str, str] = {}
        refusal = self._rate(scope, limits) or self._credentials(Headers(scope=scope))
        answer: ASGIApp = refusal or self._app

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in limits.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await answer(scope, receive, send_with_limits)

    def _rate(self, scope: Scope, limits: dict[str, str]) -> Response | None:
        buckets = [self._requests]
        if scope["method"] == "POST" and scope["path"] == "/api/v1/reports":
            buckets.append(self._reports)
        for bucket in buckets:
            if bucket is None:
                continue
            allowed, left, wait_s = bucket.take()
            if bucket is self._requests:
                limits["Ratelimit-Limit-Second"] = f"{bucket.amount:g}"
                limits["Ratelimit-Remaining-Second"] = str(left)
            if not allowed:
                if self._settings.retry_after:
                    limits["Retry-After"] = str(max(1, math.ceil(wait_s)))
                return error_answer(429, "", "temporary_failure", "too many requests for this organization")
        return None

    def _credentials(self, headers: Headers) -> Response | None:
        given, settings = basic_credentials(headers), self._settings
        if given == (settings.username, settings.api_token):
            return None
        if given == (settings.unprivileged_username, settings.api_token):
            return error_answer(403, "", "invalid", "this agent does not have the API User permission")
        return error_answer(401, "", "invalid", "unknown e-mail address or API token")
