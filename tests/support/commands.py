"""Call a command of the program in the test's own process, and see how it ended."""

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json_lines(self) -> list[dict[str, Any]]:
        """Return the objects on standard output, one from each line."""
        return [json.loads(line) for line in self.out.splitlines()]


def call_program(
    patch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    environment: dict[str, str],
) -> Outcome:
    """Call the program with these arguments, and with these variables added to the environment."""
    from sync.cli.main import main

    with patch.context() as here:
        here.setattr(sys, "argv", ["gladly-segment", *arguments])
        for name, value in environment.items():
            here.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
    said = capsys.readouterr()
    return Outcome(int(exit_.value.code or 0), said.out, said.err)
