"""
Serves our own pages, one file for each, and the two addresses that the debugger's script asks.

Each page asks `state.queries` through `StateDatabase.ask`, and renders a template.
"""
