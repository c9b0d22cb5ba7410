"""The map: every path and every name that CONTRIBUTING.md and architecture.md point at is in the tree."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.documents import ROOT, name_of, prose

MAP = ROOT / "CONTRIBUTING.md"
HOUSE = ROOT / "docs" / "design" / "architecture.md"

# A path has a slash, and may end in one; a name is Python's, perhaps within a class.
_PATH = re.compile(r"(?:sync|state|inspector|sandbox|tests|bench|deploy|docs)(?:/[\w.-]+)*/(?:[\w.-]+\.\w+)?")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?")


class Row(NamedTuple):
    """A row of a table: the paths in it, and the names that stand behind them."""

    text: str
    paths: list[str]
    names: list[str]


def rows(page: Path) -> Iterator[Row]:
    """The rows of a page's tables that point at a path."""
    for line in prose(page).splitlines():
        if not line.startswith("| ") or set(line) <= set("| -"):
            continue
        cells = line.strip("| ").split(" | ")
        code = [found for cell in cells for found in re.findall(r"`([^`]+)`", cell)]
        paths = [found for found in code if _PATH.fullmatch(found)]
        # In a table of three columns, names stand in the last one.
        names = re.findall(r"`([^`]+)`", cells[2]) if len(cells) == 3 else []
        if paths:
            yield Row(cells[0], paths, [name for name in names if _NAME.fullmatch(name)])


@functools.cache
def defined(path: str) -> frozenset[str]:
    """The names that a Python file defines: functions, classes and what is in them, constants."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(_names(tree.body, ""))


def _names(body: list[ast.stmt], within: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield within + name
            case ast.ClassDef(name=name, body=inner):
                yield within + name
                yield from _names(inner, f"{within}{name}.")
            case ast.Assign(targets=targets):
                yield from (within + target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield within + name
            case _:
                pass


def missing(row: Row) -> list[str]:
    """What a row names and the tree does not have."""
    lost = [path for path in row.paths if not (ROOT / path).exists()]
    files = [path for path in row.paths if path.endswith(".py") and path not in lost]
    return lost + [name for name in row.names if not any(name in defined(path) for path in files)]


MAP_ROWS = list(rows(MAP))
HOUSE_ROWS = [Row(row.text, row.paths, []) for row in rows(HOUSE)]


@pytest.mark.parametrize("row", MAP_ROWS, ids=lambda row: row.text[:60])
def test_what_the_map_points_at_is_there(row):
    """Each path exists, and each name is defined in one of the files of its row."""
    assert not missing(row)


@pytest.mark.parametrize("row", HOUSE_ROWS, ids=lambda row: " ".join(row.paths)[:60])
def test_what_the_house_consists_of_is_there(row):
    """Every room and file of architecture.md."""
    assert not missing(row)


@pytest.mark.parametrize("page", [MAP, HOUSE], ids=name_of)
def test_every_room_is_on_the_map(page):
    """Every package of `sync/`, and every package beside it."""
    packages = {path.parent for path in ROOT.glob("*/__init__.py")} | {
        path.parent for path in ROOT.glob("sync/*/__init__.py")
    }
    rooms = {f"{name_of(path)}/" for path in packages} - {"sync/", "tests/"}
    assert rooms <= {path for row in rows(page) for path in row.paths}


ROOMS = sorted(file.parent for file in ROOT.glob("sync/*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_every_file_of_a_room_is_in_the_house(room):
    """A file that is new is written down, so that a stranger finds it."""
    listed = {path for row in HOUSE_ROWS for path in row.paths}
    files = {name_of(path) for path in room.glob("*.py")} - {f"{name_of(room)}/__init__.py"}
    assert not files - listed


def test_the_recipes_name_what_is_there():
    """The files that the sections on how to add something send one to."""
    named = {path for path in re.findall(r"`([^`]+)`", prose(MAP)) if _PATH.fullmatch(path)}
    assert len(named) > 20
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_map_answers_questions():
    """Collectors that find nothing prove nothing."""
    assert len(MAP_ROWS) > 40
    assert len(HOUSE_ROWS) > 60
    assert sum(len(row.names) for row in MAP_ROWS) > 35


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sync/stop.py", "no_such_function"),
        ("sync/stop.py", "Stop.no_such_method"),
        ("sync/no_such_file.py", "Stop"),
        ("sync/no_such_room/", ""),
    ],
)
def test_what_is_not_there_is_convicted(path, name):
    """So that the tests above can fail."""
    assert missing(Row("made up", [path], [name] if name else []))
    assert not missing(Row("there", ["sync/stop.py"], ["Stop", "Stop.set", "stop_on_signals"]))
