"""Every query of the documents runs on a state file, and answers with the columns that are shown."""

import shutil
import subprocess

import pytest

from support.document_commands import differences
from support.documents import PAGES, Block, Command, name_of, parts


def queries():
    """The SQL blocks, each with the output shown after it."""
    for page in PAGES:
        everything = list(parts(page))
        found = [n for n, part in enumerate(everything) if isinstance(part, Block) and part.kind == "sql"]
        for n in found:
            shown = next((p for p in everything[n + 1 :] if isinstance(p, Block)), Block("none"))
            yield name_of(page), everything[n].text, shown


QUERIES = list(queries())


@pytest.mark.parametrize(("page", "query", "shown"), QUERIES, ids=[query for _, query, _ in QUERIES])
def test_a_query_answers_as_shown(scene, page, query, shown):
    """In the same columns, with rows like those shown, each of them filled."""
    if not shutil.which("sqlite3"):
        pytest.skip("no sqlite3 on this machine")
    assert shown.kind == "text", f"{page} shows no output of: {query}"
    done = subprocess.run(
        ["sqlite3", "-readonly", "-box", str(scene.state), query], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not differences(Command(query, shown.lines), done.stdout), done.stdout


def test_there_are_queries():
    """Ten and more."""
    assert len(QUERIES) >= 10
