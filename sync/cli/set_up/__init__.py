"""
The commands of the first hour: `init`, `check`, `config show`, `completion`.

May import: everything of `sync`.

Doors, for `sync/cli/main.py`: `init` (initialize.py), `check` and `completion` (checking.py), `config`
(configuration.py).
"""
