"""
Make the pipeline and run it.

May import: every other room of `sync` except `sync.cli`, and `state`.

Doors:

* `build`: `build_pipeline` is the one place that makes an organization's pipeline. `Tuning` holds its
  numbers.
* `daemon`: `Daemon` is what `run` runs; `schedule` says when cycles run.
* `checks`: `run_checks` is what `check` runs.
"""
