"""
The pipeline: from Gladly's changes to Segment's acknowledgement. `cycle` is its table of contents.

May import: `sync.events`, `sync.gladly`, `sync.segment`, `state`, and the root files of `sync`.

Doors:

* `cycle`: `Cycle` polls, takes in and delivers.
* `poll`: `Poller` reads what was recorded since the watermark.
* `intake`: `Intake` writes what a chunk of changes comes to; `seen_changes` recognises what is read twice.
* `delivery`: `Deliverer` sends the outbox.
* `ends`: `Ends` and `EndHealth` say how both ends are.
* `resync` and `preview`: a past interval read again, and what a dry run shows.
"""
