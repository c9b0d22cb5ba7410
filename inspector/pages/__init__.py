"""
Our own pages, a file each, and the two addresses that the debugger's script asks.

Each page asks `state.queries` through `StateDatabase.ask`, and renders a template.
"""
