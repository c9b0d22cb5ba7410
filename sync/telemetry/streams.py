"""
The standard streams, as every command finds them: open, and ready for any character.

A command's exit code is that of its work. Standard error holds the log and what a person reads meanwhile, so
a full disk or a reader that has gone away does not change the exit code. Standard output holds data: a
command that cannot write its data fails.
"""

import codecs
import io
import os
import sys

# The name under which the codecs know `_escaped`.
_ESCAPED = "gladly-segment-escaped"


def prepare_standard_streams() -> None:
    """Open the streams that are closed, and let no character and no full disk end a command."""
    _open_closed_streams()
    codecs.register_error(_ESCAPED, _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPED)
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_NeverFails(2, "wb", closefd=False)),
            encoding=sys.stderr.encoding,
            errors=_ESCAPED,
            line_buffering=True,
        )


def _open_closed_streams() -> None:
    """
    Open those standard streams that the parent process left closed.

    Otherwise the state file could become standard error, or a log line could fail.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 (open until the process ends)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """
    Replace characters that the stream's encoding does not have, such as `日` in Latin-1, by `\\u65e5`.

    A JSON line stays the same JSON, since JSON writes characters that way too.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = [characters[at : at + 2].hex() for at in range(0, len(characters), 2)]
    return "".join(f"\\u{unit}" for unit in units), error.end


class _NeverFails(io.FileIO):
    """A file that drops what it cannot write: its disk is full, its reader has gone away or is too slow."""

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Write *data*, or drop it."""
        try:
            written = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written
