"""A sandbox whose time stands still at a known instant, and a client for each of its services."""

from support.sandbox_clients import gladly, sandbox, segment

__all__ = ["gladly", "sandbox", "segment"]
