"""A terminal for a program under test, with a person at its other end."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_SGR = re.compile(r"\x1b\[[0-9;]*m")


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


class Shown(NamedTuple):
    """
    What a program has shown on a terminal, standard output and standard error together.

    Attributes:
        code: The exit code.
        text: All that it wrote.
    """

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """Return the lines without their colors."""
        return _SGR.sub("", self.text).replace("\r\n", "\n").splitlines()


def show(
    *arguments: str,
    directory: Path,
    environment: Mapping[str, str],
    columns: int = 80,
    rows: int = 50,
    until: Callable[[str], bool] | None = None,
) -> Shown:
    """
    Run a command of the program in a pseudo-terminal.

    Args:
        arguments: The command.
        directory: The working directory.
        environment: The variables. The size of the terminal is the terminal's own.
        columns: The width.
        rows: The height.
        until: Ends the command with Ctrl-C when what it has shown is so. None lets it end by itself.
    """
    person, program = pty.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    sized = ("COLUMNS", "LINES", "NO_COLOR")
    variables = {name: value for name, value in environment.items() if name not in sized}
    process = subprocess.Popen(
        [sys.executable, "-m", "sync", *arguments],
        cwd=directory,
        env=variables | {"TERM": "xterm-256color"},
        stdin=program,
        stdout=program,
        stderr=program,
    )
    os.close(program)
    text, overdue = b"", time.monotonic() + 30
    try:
        with contextlib.suppress(OSError):  # the program has closed its end
            while (part := os.read(person, 65_536)) and time.monotonic() < overdue:
                text += part
                if until is not None and until(text.decode("utf-8", "replace")):
                    process.send_signal(signal.SIGINT)
                    until = None
        code = process.wait(timeout=15)
    finally:
        process.kill()
        process.wait()
        os.close(person)
    return Shown(code, text.decode("utf-8", "replace"))
