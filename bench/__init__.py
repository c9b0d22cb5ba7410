"""
Benchmarks: what the sync costs, each figure beside its physical limit or a peer measured in the same run.

`python -m bench` prints a table of medians; `--json PATH` keeps every run. Bars are ratios, so that they hold
on any machine. A noisy machine needs more `--runs`.

* Gladly and Segment run in a process of their own: `bench.counterpart` (canned answers, about ten times as
  fast as the sandbox) or `bench.serve` (the sandbox, where its latency or request log is needed).
* CPU and memory are those of the measured process alone, from start to end, as `wait4` reports them.
* `bench.floor` is the bare script: the same requests, rows and bytes with `requests`, `json` and `sqlite3`.
"""
