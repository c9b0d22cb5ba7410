"""
What proves the sync against a second source.

May import: `sync.pipeline` and everything below it.

Doors:

* `audit`: `Audit` proves past days against Gladly's report.
* `reconcile`: `Reconciler` compares quiet open conversations with Gladly.
* `compare`: `compare` holds what Gladly's own integration delivered against `events`.
* `receipts`: `Receipts` compares what was delivered on a day with what Segment counted.
"""
