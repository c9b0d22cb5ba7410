"""
Shows the state file in a browser: Datasette over the live file, read-only and on loopback, with three pages
of our own (debugger, overview, conversation).

It may import `state` and no other room. Its door is `inspector.server`: `serve`, `DEFAULT_PORT`.

What is served is the file that the daemon writes. Nothing here opens that file for writing, holds a
transaction longer than a query takes, or lets another web site read the file. The pages use the words of
`gladly-segment status`.
"""
