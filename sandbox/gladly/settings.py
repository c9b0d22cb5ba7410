"""How the local Gladly behaves: credentials, limits, and the quirks of its reports."""

from dataclasses import dataclass


@dataclass
class GladlySettings:
    """
    How the local Gladly behaves. Everything except the two limits can be changed while it runs.

    Attributes:
        username: The e-mail address of an agent who has the API User permission.
        api_token: The token of both agents.
        unprivileged_username: The e-mail address of an agent without the permission, who gets a 403.
        requests_per_second: The organization's limit for all requests together; None means no limit.
        reports_per_minute: The additional limit for `POST /reports`; None means no limit.
        retry_after: Whether a 429 has a `Retry-After` header. Gladly's may have none.
        latency_s: Real seconds added to every answer.
        report_row_cap: The largest number of rows in a report; the rest is cut off. Gladly's is 100,000.
        report_lateness_s: A report leaves out changes that are younger than this, in world seconds.
        report_bom: Whether reports begin with a UTF-8 byte order mark.
        report_shuffled: Whether a report's rows are out of order. Gladly promises no order.
        organization_timezone: The timezone of a report's days when the request names none.
    """

    username: str = "segment-sync@example.com"
    api_token: str = "sandbox-token"  # noqa: S105  # opens nothing but the sandbox
    unprivileged_username: str = "no-api-user@example.com"
    requests_per_second: float | None = 10.0
    reports_per_minute: int | None = 10
    retry_after: bool = True
    latency_s: float = 0.0
    report_row_cap: int = 100_000
    report_lateness_s: float = 3600.0
    report_bom: bool = False
    report_shuffled: bool = True
    organization_timezone: str = "America/Denver"
