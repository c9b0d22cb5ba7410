"""How the local Gladly behaves: credentials, limits, and the quirks of its reports."""

from dataclasses import dataclass


@dataclass
class GladlySettings:
    """
    How the local Gladly behaves; may be changed while it runs, except the limits.

    Attributes:
        username: The e-mail of the agent with the API User permission.
        api_token: Its token; the same token serves `unprivileged_username`.
        unprivileged_username: An agent without the permission: 403.
        requests_per_second: The organization's limit, all methods together; None for none.
        reports_per_minute: The further limit of `POST /reports`; None for none.
        retry_after: Whether a 429 says `Retry-After`; Gladly's may not.
        latency_s: Real seconds added to every answer.
        report_row_cap: After this many rows a report is cut off, silently. Gladly: 100,000.
        report_lateness_s: A report lacks what was recorded in this many last world seconds.
        report_bom: Whether reports begin with a UTF-8 byte order mark.
        report_shuffled: Whether a report's rows come in no order, as Gladly promises none.
        organization_timezone: What a report's days mean when it names no timezone.
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
