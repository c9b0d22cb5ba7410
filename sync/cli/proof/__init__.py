"""
The commands that prove something: `audit`, `compare` and `schema`.

May import: everything.

Doors:

* `audit`: the command `audit`.
* `comparing`: the command `compare`. `schema`: the command `schema`.
"""
