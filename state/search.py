"""
Looks for texts in the bytes of the state file and of its write-ahead log.

What was erased may still stand in a free page, in a free part of a page, or in the log. No query
finds it there.
"""

import json
from collections.abc import Iterable
from pathlib import Path


def forms_of(text: str) -> set[bytes]:
    """Return the bytes that a text is in the file: as it is, and as JSON writes it."""
    in_json = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    return {form.encode("utf-8", "surrogatepass") for form in (text, *in_json)}


def count_in_files(path: Path, texts: Iterable[str], part_bytes: int = 8_000_000) -> dict[str, int]:
    """
    Return how often each text stands in the state file and in its write-ahead log.

    This process must not have the file open in SQLite: closing the file ends the locks that SQLite has on it.

    Args:
        path: The state file.
        texts: The texts. The empty one stands nowhere.
        part_bytes: So much of a file is in memory at once.
    """
    forms = {text: forms_of(text) for text in texts if text}
    counts = dict.fromkeys(forms, 0)
    itself = path.resolve()
    for file in (itself, itself.with_name(itself.name + "-wal")):
        if file.exists():
            _count(file, forms, counts, part_bytes)
    return counts


def _count(file: Path, forms: dict[str, set[bytes]], counts: dict[str, int], part_bytes: int) -> None:
    overlap = max((len(form) for of_text in forms.values() for form in of_text), default=1) - 1
    tail = b""
    with file.open("rb") as opened:
        while part := opened.read(part_bytes):
            window = tail + part
            for text, of_text in forms.items():
                # What lies wholly in the tail was counted with the part before.
                counts[text] += sum(window.count(form) - tail.count(form) for form in of_text)
            tail = window[-overlap:] if overlap else b""
