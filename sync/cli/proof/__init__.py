"""
The commands that prove something: `audit`, `schema` and `compare`.

May import: everything.

Doors:

* `audit`: the command `audit`.
"""
