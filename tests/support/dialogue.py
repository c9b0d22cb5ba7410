"""A command that asks a person, and the person's answers."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class Dialogue:
    """
    A command at a terminal. The terminal is its standard input, output and error.

    Attributes:
        said: All that it said so far.
    """

    def __init__(self, person: int, process: "subprocess.Popen[bytes]") -> None:
        self._person, self._process = person, process
        self.said = ""
        self._heard = 0

    def answer(self, question: str, text: str, *, within_s: float = 20.0) -> None:
        """Wait until the command asks *question*, and type *text*."""
        self.hear(question, within_s=within_s)
        os.write(self._person, text.encode() + b"\n")

    def hear(self, words: str, *, within_s: float = 20.0) -> None:
        """Wait until the command says *words*, after what was heard before."""
        until = time.monotonic() + within_s
        while words not in self.said[self._heard :]:
            assert time.monotonic() < until, f"it never said {words!r}:\n{self.said}"
            self._read(until - time.monotonic(), f"{words!r}")
        self._heard = self.said.index(words, self._heard) + len(words)

    def interrupt(self) -> None:
        """Press Ctrl-C. The terminal sends SIGINT to all that run in its foreground."""
        os.write(self._person, b"\x03")

    def end(self, *, within_s: float = 20.0) -> int:
        """Wait until the command has ended, and return its exit code."""
        until = time.monotonic() + within_s
        while self._process.poll() is None and time.monotonic() < until:
            self._read(0.1, "its end", must_say=False)
        self._read(0.0, "its end", must_say=False)
        return self._process.wait(timeout=1)

    def _read(self, seconds: float, awaited: str, *, must_say: bool = True) -> None:
        if not select.select([self._person], [], [], max(0.0, seconds))[0]:
            return
        try:
            self.said += os.read(self._person, 65_536).decode("utf-8", "replace").replace("\r\n", "\n")
        except OSError:  # the command has ended
            assert not must_say, f"it ended before {awaited}:\n{self.said}"


@contextmanager
def dialogue(*arguments: str, directory: Path, environment: Mapping[str, str]) -> Iterator[Dialogue]:
    """Start a command of the program at a terminal."""
    person, program = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sync", *arguments],
        cwd=directory,
        env={**environment, "NO_COLOR": "1", "TERM": "dumb"},
        stdin=program,
        stdout=program,
        stderr=program,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(program)
    try:
        yield Dialogue(person, process)
    finally:
        process.kill()
        process.wait()
        os.close(person)
