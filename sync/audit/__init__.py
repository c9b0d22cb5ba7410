"""
What proves the sync against a second source.

May import: `sync.pipeline` and everything below it.

Doors:

* `reconcile`: `Reconciler` compares quiet open conversations with Gladly.
* `receipts`: `Receipts` compares what was delivered on a day with what Segment counted.
"""
