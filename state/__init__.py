"""
What the sync remembers between cycles: one SQLite file.

`Store` writes it (one process at a time), `Reader` answers questions about it while the daemon runs,
and no SQL leaves this package. The tables are public: see `state/schema.py`.
"""

from state.errors import (
    NewerSchemaError,
    StateError,
    StateFileError,
    StateLockedError,
    StateWriteError,
    damaged,
)
from state.reader import Reader
from state.records import (
    QUARANTINED_LINE_BYTES,
    BadLine,
    ChangeRecord,
    CustomerMerge,
    Event,
    EventStatus,
    PendingEvent,
    Poll,
    PollOutcome,
    Resync,
    Status,
    StoredConversation,
    TakenIn,
    Transition,
    TransitionRecord,
)
from state.store import Store

__all__ = [
    "QUARANTINED_LINE_BYTES",
    "BadLine",
    "ChangeRecord",
    "CustomerMerge",
    "Event",
    "EventStatus",
    "NewerSchemaError",
    "PendingEvent",
    "Poll",
    "PollOutcome",
    "Reader",
    "Resync",
    "StateError",
    "StateFileError",
    "StateLockedError",
    "StateWriteError",
    "Status",
    "Store",
    "StoredConversation",
    "TakenIn",
    "Transition",
    "TransitionRecord",
    "damaged",
]
