"""
What the sync tells those who watch it: logs, metrics, the heartbeat, systemd.

May import: `state`, `sync.settings`, `sync.events` for the events' names, `sync.http.addresses`, and the root
files of `sync`. It knows nothing of what runs except its reports (`sync.reports`).

Doors:

* `log`: `configure` sets up logging.
* `metrics`: `Metrics` observes cycles; `collector` looks up what there is; `metrics_page` serves both.
* `heartbeat`: `Heartbeat` calls a URL after each good cycle.
* `systemd`: `Notifier` tells systemd how the daemon is.
"""
