"""
The terminal: the commands of `gladly-segment`.

May import: everything. A command imports slow libraries when it runs, because `--help` and `status` must
start fast.

Doors:
* `main.main` is the entry point; `main.cli` is the group of all commands.
* `errors` has the exit codes.

There is one file for each group of commands: `running` (run, once), `looking` (status, events, explain,
inspect), `watermark` (watermark, resync), `outbox` (retry, dismiss) and `local` (sandbox, demo). `set_up` has
init, check, config and completion, `proof` has audit, compare and schema, and `screens` what they print.
"""
