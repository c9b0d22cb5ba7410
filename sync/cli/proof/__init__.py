"""
The commands that prove something without touching either end: `schema` and `compare`.

May import: everything.

Doors:

* `schema`: the command `schema`. `comparing`: the command `compare`.
"""
