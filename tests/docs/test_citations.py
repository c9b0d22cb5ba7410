"""Every citation of the design documents names a section that exists, and every link leads somewhere."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.documents import ROOT, anchors, links, name_of

DESIGN = ROOT / "docs" / "design"

# Where citations stand: code, documents, and what is beside them.
ROOMS = ("sync", "state", "inspector", "sandbox", "tests", "bench", "docs", "deploy", ".github")
KINDS = {".py", ".md", ".toml", ".html", ".js", ".css", ".yml", ".yaml", ".service"}

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "bench").glob("*.md"),
        *DESIGN.parent.rglob("*.md"),
        *ROOT.glob(".github/**/*.md"),
    ]
)


class Citation(NamedTuple):
    """One number that a text cites, and of which document."""

    document: str
    number: str


# What is defined


def sections(document: str) -> list[str]:
    """The numbers that a design document defines: of headings, of bullets, and of the rows of tables."""
    text = (DESIGN / f"{document}.md").read_text("utf-8")
    found = re.findall(r"^#+ (\d+(?:\.\d+)*|[A-H]\d*)\.? ", text, re.MULTILINE)
    found += re.findall(r"^\* (\d+(?:\.\d+)+) ", text, re.MULTILINE)
    return found + re.findall(r"^\| ([A-H]\d+(?:\.\d+)?)(?: \*planned\*)? \|", text, re.MULTILINE)


NUMBERED = ("semantics", "interface", "faults", "architecture", "decisions")
SECTIONS = {document: set(sections(document)) for document in NUMBERED}


# What is cited

_SECTION = r"\d+(?:\.\d+)*(?!\w)"
_ROW = r"[A-H](?:\d+(?:\.\d+)?)?(?!\w)"
_SECTION_IN_BRACKETS = r"[1-7](?:\.\d{1,2}){1,2}"
_ROW_IN_BRACKETS = r"[A-H]\d+(?:\.\d+)?"
_SEPARATOR = r"(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*-\s*|\s+to\s+)"


def _list_of(number: str) -> str:
    return rf"({number}(?:{_SEPARATOR}{number})*)"


_BY_NAME = re.compile(rf"\b((?i:semantics|interface|architecture|decisions?))\s+{_list_of(_SECTION)}")
_ROWS_BY_NAME = re.compile(rf"\b(?i:faults?|rows?)\s+{_list_of(_ROW)}")
# In brackets a number is enough: (2.0), (5.1, 5.2) of semantics; (C6), (D1-D3, D7-D11) of faults.
_IN_BRACKETS = re.compile(rf"\({_list_of(_SECTION_IN_BRACKETS)}\)")
_ROWS_IN_BRACKETS = re.compile(rf"\({_list_of(_ROW_IN_BRACKETS)}\)")


def citations(text: str) -> Iterator[Citation]:
    """Every citation in a text; a range stands for its ends."""
    text = re.sub(r"\n[ \t]*(?:#|//|\*|>)?[ \t]*", " ", text)  # a citation may go on in the next line
    for name, numbers in _BY_NAME.findall(text):
        document = {"decision": "decisions"}.get(name.lower(), name.lower())
        yield from (Citation(document, number) for number in re.findall(_SECTION, numbers))
    for pattern in (_ROWS_BY_NAME, _ROWS_IN_BRACKETS):
        for numbers in pattern.findall(text):
            yield from (Citation("faults", number) for number in re.findall(_ROW, numbers))
    for numbers in _IN_BRACKETS.findall(text):
        yield from (Citation("semantics", number) for number in re.findall(_SECTION, numbers))


def prose_of(path: Path) -> str:
    """The part of a file that people read: of Python its comments and strings, of anything else all of it."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        return text
    # Comments and strings line by line, so that what goes on in the next line is still next to it.
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None)}  # from 3.12 on
    return "\n".join(token.string for token in tokens if token.type in kinds)


def wrong(text: str) -> list[str]:
    """The citations in a text that name nothing that exists."""
    return [f"{c.document} {c.number}" for c in citations(text) if c.number not in SECTIONS[c.document]]


def files() -> list[Path]:
    """Every file of the project in which people write sentences."""
    inside = (path for room in ROOMS for path in (ROOT / room).rglob("*"))
    return sorted(
        path
        for path in [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml", *inside]
        if (path.suffix in KINDS or path.name == "Makefile") and path != Path(__file__) and path.is_file()
    )


FILES = files()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_citation_names_what_exists(path):
    """A section of semantics, interface, architecture or decisions; a chapter or a row of faults."""
    assert not wrong(prose_of(path))


@pytest.mark.parametrize("document", NUMBERED)
def test_no_number_is_defined_twice(document):
    """A citation means one thing."""
    found = sections(document)
    assert found
    assert len(found) == len(set(found))


def test_the_citations_are_found():
    """A finder that finds nothing proves nothing."""
    found = [citation for path in FILES for citation in citations(prose_of(path))]
    assert {citation.document for citation in found} >= {"semantics", "interface", "faults"}
    assert len(found) > 150


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("(semantics 2, 3.5)", ["semantics 2", "semantics 3.5"]),
        ("Every table of interface 4, and `customers`", ["interface 4"]),
        ("as people write them (interface 2 and 4).", ["interface 2", "interface 4"]),
        ("has the same id (semantics\n    4.2).", ["semantics 4.2"]),
        ("is decided again (semantics 2.0.1)", ["semantics 2.0.1"]),
        ("(faults C12, C15)", ["faults C12", "faults C15"]),
        ("(rows A15-A19, A21, A22)", ["faults A15", "faults A19", "faults A21", "faults A22"]),
        ("What can befall the process (faults F): signals", ["faults F"]),
        ("nothing of it is believed (faults H1.6)", ["faults H1.6"]),
        ("polling slows down (C6).", ["faults C6"]),
        ("The rule behind the table (2.0): a transition", ["semantics 2.0"]),
        ("Two rows a day; 10,000 rows, 4 s; interface of 2 kinds; (0.5 s) (8.25) (HTTP 1.1)", []),
    ],
)
def test_a_citation_is_read_as_it_is_written(text, cited):
    """Alone, in lists, in ranges, across lines; and what only looks like one is none."""
    assert [f"{c.document} {c.number}" for c in citations(text)] == cited


@pytest.mark.parametrize(
    "made_up",
    [
        "semantics 9.9",
        "semantics 2, 3.99",
        "interface 6",
        "faults A99",
        "rows A15-A77",
        "faults H4.1",
        "faults (Z9) and (H9.1)",
        "(2.77)",
        "(C66)",
        "decision 999",
        "architecture 17",
    ],
)
def test_a_made_up_citation_is_convicted(made_up):
    """So that the test above can fail."""
    assert wrong(f"It is so because of that ({made_up}).") or wrong(made_up)


# Links


def broken(page: Path, found: list[str]) -> list[str]:
    """Those of the links found on a page that lead to no file and no heading of the project."""
    broken = []
    for link in found:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if (
            not target.is_relative_to(ROOT)
            or not target.exists()
            or (anchor and anchor not in anchors(target))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", DOCUMENTS, ids=name_of)
def test_every_link_between_documents_leads_somewhere(page):
    """Files of the project and headings in them; addresses elsewhere are not asked."""
    assert not broken(page, links(page))


def test_a_broken_link_is_convicted():
    """A file that is not there, a heading that is not there, a place outside of the project."""
    bad = ["nowhere.md", "semantics.md#no-such-heading", "#no-such-heading", "/etc/passwd"]
    good = ["semantics.md#4-sent-once", "#1-the-events", "../README.md", "https://example.com/"]
    assert broken(DESIGN / "semantics.md", [*bad, *good]) == bad


def test_every_design_document_is_in_the_index():
    """docs/README.md leads to all of them."""
    index = ROOT / "docs" / "README.md"
    assert {f"design/{page.name}" for page in DESIGN.glob("*.md")} <= set(links(index))


# What is planned


@pytest.mark.parametrize("page", sorted(DESIGN.glob("*.md")), ids=name_of)
def test_a_page_explains_planned_where_it_first_says_it(page):
    """Somebody who begins with any page is told what the mark means before meeting it."""
    paragraphs = page.read_text("utf-8").split("\n\n")
    first = next((p for p in paragraphs if re.search(r"\bplanned\b", p, re.IGNORECASE)), None)
    assert first is None or "mark" in first or "does not follow yet" in first
