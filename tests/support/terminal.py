"""A terminal for a program under test, with a person at its other end."""

import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Terminal(NamedTuple):
    """
    A pseudo-terminal.

    Attributes:
        person: The end at which a person types and reads.
        program: The end that is the program's standard input, output or error.
    """

    person: int
    program: int


@contextmanager
def terminal(typed: bytes = b"") -> Iterator[Terminal]:
    """Open a terminal at which a person has typed this."""
    both = Terminal(*pty.openpty())
    try:
        os.write(both.person, typed)
        yield both
    finally:
        os.close(both.person)
        os.close(both.program)
