"""
The state file in a browser: Datasette over the live file, read-only and on loopback, with three pages of our
own (debugger, overview, conversation). `serve` is the only door.

What is served is the file that the daemon writes, so nothing here opens it for writing, holds a transaction
longer than a query, or lets another site read it. The words are those of `gladly-segment status`.
"""

from inspector.server import DEFAULT_PORT, serve

__all__ = ["DEFAULT_PORT", "serve"]
