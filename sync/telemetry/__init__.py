"""
Tell the people and programs that watch the sync how it is: logs, metrics, the heartbeat, systemd.

May import: `state`, `sync.settings`, `sync.events` for the events' names, `sync.http.addresses`, and the root
files of `sync`. It knows nothing of what runs except its reports (`sync.reports`).

Doors:

* `log`: `configure` sets up logging.
* `metrics`: `Metrics` observes cycles; `collector` reads the current figures; `metrics_page` serves both.
* `heartbeat`: `Heartbeat` calls a URL after each good cycle.
* `streams`: `prepare_standard_streams` is the first thing that every command does.
* `systemd`: `Notifier` tells systemd how the daemon is.
"""
