"""
Defines what can be wrong with the state file: one error for each thing that the caller can do next.

* StateError
  x StateFileError     the file is not ours, damaged, or not writable: a person mends it; nothing was touched
    x NewerSchemaError a newer release wrote it: upgrade; nothing was touched
    x OlderSchemaError an older release wrote it: let a cycle migrate it; nothing was touched
    x OtherOrganizationError it is another organization's: point at its own file; nothing was touched
  x StateLockedError   another process has the role: wait for it or stop it
  x StateWriteError    a transaction failed and was rolled back whole: try again later
"""

from pathlib import Path


class StateError(Exception):
    """Base class of every error of the state file. The message says what is wrong, where, and what to do."""


class StateFileError(StateError):
    """The file cannot serve as a state file. It was left as it is."""


class NewerSchemaError(StateFileError):
    """A newer release wrote the file. It was left as it is."""


class OlderSchemaError(StateFileError):
    """An older release wrote the file, and the command does not migrate. The file was left as it is."""


class OtherOrganizationError(StateFileError):
    """The file is the state of another organization. It was left as it is."""


class StateLockedError(StateError):
    """Another process holds the state file."""


class StateWriteError(StateError):
    """A transaction could not be written (full disk, lost volume). It was rolled back whole."""


class DiskFullError(StateWriteError):
    """The disk has no room for a transaction, or does not take it. It was rolled back whole."""


def damaged(path: Path, finding: str) -> StateFileError:
    """Return the error for a file that is not whole. Its message names the ways out."""
    return StateFileError(
        f"{path} is damaged ({finding}); it was left as it is. Restore it from a copy, or move it away and "
        "start again from an instant (sync.start): what is sent again keeps its messageId, and Segment drops "
        "repeats within its 24 hours."
    )


def other_organization(path: Path, bound_to: str, host: str) -> OtherOrganizationError:
    """
    Return the error for a file of another organization.

    Args:
        path: The state file.
        bound_to: The host that the file is bound to.
        host: The host that the settings name.
    """
    return OtherOrganizationError(
        f"{path} belongs to the organization at {bound_to}, and the settings name {host}; it was left as "
        "it is. Give each organization a state file of its own (state.path), or mend gladly.organization."
    )


def other_write_key(path: Path) -> StateLockedError:
    """Return the error for a file that a daemon follows with another write key."""
    return StateLockedError(
        f"A daemon follows {path} with another write key. Restart it with the new key first: the message ids "
        "of the events that are still to be sent belong to one key."
    )
