"""
Defines the tables, views and indexes of the state file, and creates them in a file.

Reading a file needs only `state.schema.version`, which is cheap to import. `state.schema.steps` and
`state.schema.migration` import sqlite-utils, which costs 50 ms, so they are imported where a file is made or
migrated.
"""
