"""docs/statuses-and-errors.md has all that the program can say, and nothing that it cannot."""

import re

import pytest

from state.findings import AuditOutcome
from state.records import EventStatus, PollOutcome, Status, Transition
from support.documents import ROOT, first_cells
from support.messages_in_code import GAP, logged, reasons, sentences, values
from sync.cli import errors

PAGE = ROOT / "docs" / "statuses-and-errors.md"
CELLS = first_cells(PAGE)

EXIT_CODES = {
    "0",
    *map(str, (errors.FAILED, errors.WRONG_USAGE, errors.CREDENTIALS_REFUSED, errors.STATE_LOCKED)),
}
STATUSES = set().union(*map(values, (AuditOutcome, EventStatus, PollOutcome, Status, Transition)))
LOGGED = logged("warning", "error")
SENTENCES = {**sentences(), **reasons()}


def says(cell, sentence):
    """Whether a cell, in which … stands for anything, is how a sentence of the source begins."""
    pattern = ".*".join(map(re.escape, cell.rstrip(".").split("…")))
    return re.match(pattern, sentence, re.DOTALL) is not None


@pytest.mark.parametrize("what", sorted(EXIT_CODES | STATUSES | LOGGED))
def test_every_word_is_explained(what):
    """Exit codes, statuses, outcomes, transitions, and the names of warnings and errors in the log."""
    assert what in CELLS


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda s: s.replace(GAP, "…")[:60])
def test_every_sentence_is_explained(sentence):
    """Errors, and reasons of events and of lines in quarantine."""
    assert any(says(cell, sentence) for cell in CELLS), f"{SENTENCES[sentence]}: {sentence.replace(GAP, '…')}"


@pytest.mark.parametrize("cell", CELLS)
def test_nothing_is_explained_that_nobody_says(cell):
    """A row whose sentence or name has gone from the source goes, too."""
    words = EXIT_CODES | STATUSES | LOGGED
    assert cell in words or any(says(cell, sentence) for sentence in SENTENCES)


def test_there_is_something_to_explain():
    """Collectors that find nothing prove nothing."""
    assert len(SENTENCES) > 90
    assert len(LOGGED) > 12
