"""
Keeps what the sync remembers between cycles in one SQLite file. The program's only SQL is here.

It imports nothing of the other rooms. Its tables and views are public: people query them (docs/querying.md).

The doors, and what others import from them:

* `state.store`: `Store`, the file open for writing, by one process at a time for each role.
* `state.reader`: `Reader`, the file open for reading, beside the daemon; `read_status`.
* `state.queries`: every question about the file, each defined once. The reader and the inspector ask them.
* `state.records`, `state.instants`: plain data and times. They import no SQL, so the pure room can use them.
* `state.errors`, `state.locks`: what can be wrong with the file, and the roles in which a process holds it.
* `state.failpoints`: where a test ends, breaks or hangs the process.
"""
