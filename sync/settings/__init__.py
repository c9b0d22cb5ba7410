"""
Read the settings: config.toml and the environment become typed values.

May import: `sync.events`, `sync.http`, the files at the root of `sync`, and `state.instants`.

Doors:
* `loading.load` reads everything and reports all mistakes at once.
* `sections` has `Config`, `Settings` and a class for each section.
* `secrets` has the names of the secrets' environment variables.
* `cron.crontab_triggers` makes APScheduler's triggers of a crontab line.
* `values.organization_of` understands a pasted organization.
* `example.write_config` writes the file that `init` makes.
"""
