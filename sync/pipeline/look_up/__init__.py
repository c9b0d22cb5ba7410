"""
The second stage: ask Gladly for what recorded events need, and make the events to send of it.

May import: what `sync.pipeline` may.

Doors:

* `stage`: `LookUpStage` looks up what is due, step by step.
* `step`: `LookUpStep` is one step: some events, Gladly's answers, and what follows.
* `making`: `EventMaker` makes the event to send.
* `timing`: `LookUpTiming` says how much a step takes, and when a look-up is made again.
"""
