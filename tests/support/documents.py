"""README.md and every page in docs/, as the tests read them: blocks, commands, links, tables."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"( *)```(\w*)$")
_EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")


def name_of(page: Path) -> str:
    """A page's path in the project."""
    return page.relative_to(ROOT).as_posix()


@dataclass
class Block:
    """A fenced block; its lines as they read without its indentation."""

    kind: str
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass
class Command:
    """A command as a page has it, what it shows of the output, and the exit code it promises."""

    text: str
    output: list[str] = field(default_factory=list)
    code: int = 0


def parts(page: Path) -> Iterator[str | Block]:
    """The page's lines outside of fences, and its blocks, in order."""
    block: Block | None = None
    indent = ""
    for line in page.read_text("utf-8").splitlines():
        fence = _FENCE.match(line)
        if block is not None:
            if fence and not fence[2]:
                yield block
                block = None
            else:
                block.lines.append(line.removeprefix(indent))
        elif fence:
            indent, block = fence[1], Block(fence[2])
        else:
            yield line
    assert block is None, f"{name_of(page)} ends inside a block"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks."""
    return [part for part in parts(page) if isinstance(part, Block)]


def prose(page: Path) -> str:
    """What stands outside of fenced blocks."""
    return "\n".join(part for part in parts(page) if isinstance(part, str))


def commands(page: Path) -> list[Command]:
    """The commands of the page's console blocks, in order."""
    return [command for block in blocks(page) if block.kind == "console" for command in _commands(block)]


def _commands(block: Block) -> Iterator[Command]:
    command: Command | None = None
    for line in block.lines:
        if command is not None and _goes_on(command.text):
            command.text += "\n" + line
        elif line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line.removeprefix("$ "))
        elif command is not None:
            command.output.append(line)
        if command is not None and (promised := _EXIT_CODE.search(command.text)):
            command.code = int(promised[1])
            command.text = command.text[: promised.start()]
    if command is not None:
        yield command


def _goes_on(text: str) -> bool:
    if text.endswith("\\"):
        return True
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True  # a quotation that is not closed yet
    return False


def inline_commands(page: Path) -> list[str]:
    """Code in the text and in table cells that is a command."""
    return [code for code in inline_code(page) if re.match(r"(gladly-segment|make) [a-z-]", code)]


def inline_code(page: Path) -> list[str]:
    """All code in the text, as it reads: a table's escaped bars are bars."""
    return [" ".join(code.split()).replace("\\|", "|") for code in re.findall(r"`([^`]+)`", prose(page))]


def links(page: Path) -> list[str]:
    """Where the page's links and pictures point."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (anchor if not number else f"{anchor}-{number}") in found:
            number += 1
        found.add(anchor if not number else f"{anchor}-{number}")
    return found


def first_cells(page: Path) -> list[str]:
    """The code that a table row begins with, of every table."""
    return [cell.replace("\\|", "|") for cell in re.findall(r"^\| `([^`]+)`", prose(page), re.MULTILINE)]
