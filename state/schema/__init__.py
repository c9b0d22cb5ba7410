"""
The tables, views and indexes of the state file, and how a file comes to them.

`state.schema.version` is cheap to import: reading a file needs no more. `state.schema.steps` and
`state.schema.migration` import sqlite-utils, which costs 50 ms, so they are imported where a file is made or
migrated.
"""
