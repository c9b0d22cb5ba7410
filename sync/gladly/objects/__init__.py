"""
Gladly's objects: asked for one by one, each answer judged, and remembered while they are known to be current.

May import: what `sync.gladly` may, and `sync.gladly` itself.

Doors:

* `lookups`: `Lookups` returns conversations, profiles and names; `Failed` says that an object did not answer.
* `objects_api`: `ObjectsApi` makes the requests.
* `reading`: from an answer's bytes to an object, with tolerance.
* `names`: `KeptNames` is one list of names.
* `inboxes`: `WantedInboxes` are those whose conversations are sent; `find_inboxes` proves that they exist.
"""
