"""
What proves the sync against a second source.

May import: `sync.pipeline` and everything below it.

Doors:

* `reconcile`: `Reconciler` compares quiet open conversations with Gladly.
"""
