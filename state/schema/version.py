"""
Defines the schema of this release and the mark of our files. It imports no migrations: reading is cheap.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from state.schema.steps import Step

# "GSSy": marks the file as ours (PRAGMA application_id), so that another program's file is never touched.
APPLICATION_ID = 0x47535379

# How many steps `state.schema.steps` holds.
SCHEMA_VERSION = 3


class Schema(NamedTuple):
    """
    The schema that a release knows.

    Attributes:
        version: Its number: how many steps lead to it. A file carries it as PRAGMA user_version.
        steps: Returns the steps, in order. A function, because only creating and migrating import them.
    """

    version: int
    steps: "Callable[[], Sequence[Step]]"


def _steps() -> "Sequence[Step]":
    from state.schema.steps import STEPS

    return STEPS


# The schema of this release.
CURRENT = Schema(SCHEMA_VERSION, _steps)
