"""Every command that README.md and docs/ show is run, and does and says what they show."""

import re

import pytest

from support.document_commands import (
    ANSWERS,
    LASTING,
    NOT_RUN,
    as_run_here,
    differences,
    dry_make,
    lacks,
    missing_files,
    not_run,
    run,
)
from support.documents import PAGES, Command, blocks, commands, inline_commands, name_of

# What a page shows and the scene cannot: (page, beginning of the line, why).
OTHERWISE = [
    ("README.md", "ok      state file", "the page is about the first start, and here there is a state file"),
]


def every_inline_command():
    """Once each; `make` and what is not run apart."""
    found = {text: name_of(page) for page in reversed(PAGES) for text in inline_commands(page)}
    return sorted((page, text) for text, page in found.items())


INLINE = every_inline_command()


def problems(scene, directory, page, command):
    """What is wrong with one command of a page."""
    if command.text.startswith("make "):
        ended = dry_make(command.text)
        return [] if ended.code == 0 else [f"{command.text}: {ended.said}"]
    text = as_run_here(command.text, scene.state)
    if not_run(text):
        return [f"{command.text}: there is no {name}" for name in missing_files(text)]
    ended = run(text, scene, directory)
    if ended.code != command.code:
        return [f"{text}: exit code {ended.code}, not {command.code}: {ended.said[-600:]}"]
    shown = [
        line
        for line in differences(command, ended.said)
        if not any(page == where and line.startswith(begins) for where, begins, _ in OTHERWISE)
    ]
    return [f"{text}: shows {line!r}, and what it said is:\n{ended.said[-1500:]}" for line in shown]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_work_from_top_to_bottom(scene, prepared, page):
    """In the order a reader gives them, in one directory; and each says what the page shows."""
    directory = prepared()
    found, left_out = [], []
    for command in commands(page):
        if tool := lacks(command.text):
            left_out.append(f"{tool}: {command.text}")
        elif not left_out or not names_a_file_of(command.text, left_out):
            found += problems(scene, directory, name_of(page), command)
    assert not found, "\n\n".join(found)
    if left_out:
        pytest.skip("this machine lacks " + "; ".join(left_out))


def names_a_file_of(text, left_out):
    """Whether a command names a file that a command which was left out would have made."""
    return any(name in others for name in re.findall(r"[\w-]+\.\w+", text) for others in left_out)


@pytest.mark.parametrize(("page", "text"), INLINE, ids=[text for _, text in INLINE])
def test_a_command_in_the_text_works(scene, prepared, page, text):
    """What stands in a sentence or a table cell can be pasted, too."""
    if tool := lacks(text):
        pytest.skip(f"this machine lacks {tool}")
    found = problems(scene, prepared(), page, Command(text))
    assert not found, "\n\n".join(found)


def everything_shown():
    """Every command of every page, as it would be run but for placeholders."""
    return [c.text for page in PAGES for c in commands(page)] + [text for _, text in INLINE]


@pytest.mark.parametrize("pattern", [*(e.pattern for e in (*NOT_RUN, *LASTING)), *ANSWERS])
def test_what_is_treated_otherwise_is_still_shown_somewhere(pattern):
    """An exception that no document needs any more goes."""
    assert any(re.match(pattern, text) for text in everything_shown())


@pytest.mark.parametrize("entry", OTHERWISE, ids=lambda entry: entry[1])
def test_what_is_shown_otherwise_is_still_shown(entry):
    """Likewise."""
    page, begins, _ = entry
    shown = [c.output for p in PAGES if name_of(p) == page for c in commands(p)]
    assert any(line.startswith(begins) for lines in shown for line in lines)


def test_the_documents_hold_commands():
    """A test that collects nothing proves nothing."""
    assert sum(len(commands(page)) for page in PAGES) > 50
    assert len(INLINE) > 20


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_command_hides_from_the_tests(page):
    """Commands stand in console blocks, behind a $; whatever else is fenced is no command."""
    assert {block.kind for block in blocks(page)} <= {"console", "json", "sql", "text", "toml"}
    assert all(block.lines[0].startswith("$ ") for block in blocks(page) if block.kind == "console")
