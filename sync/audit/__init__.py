"""
What proves the sync against a second source.

May import: `sync.pipeline` and everything below it.

Doors:

* `audit`: `Audit` proves past days against Gladly's report.
* `reconcile`: `Reconciler` compares quiet open conversations with Gladly.
"""
