"""What comes from outside is shown, hides nothing and does nothing."""

import json
import re
from html import unescape

import pytest

from inspector.formatting import pretty_json, visible
from support.inspector_samples import HOSTILE, Browser

HIDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    "address",
    [
        "/overview",
        "/conversations",
        "/state/events",
        "/state/conversations",
        "/state/needs_attention",
        "/state/rejected_and_why",
    ],
)
def test_what_comes_from_outside_is_shown_and_does_nothing(reader: Browser, address: str) -> None:
    """Markup, terminal escapes and direction overrides in names and ids appear as text."""
    page = reader.get(address).text
    assert "alert(1)" in unescape(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    outside_links = re.sub(r'(href|data-copy|value)="[^"]*"', "", page)
    assert not HIDING.search(outside_links)


def test_invisible_characters_are_written_out_and_a_payload_stays_the_same_json() -> None:
    """Pretty, harmless, and still what was sent."""
    assert visible("a\u202eb\x1b[0m") == "a\\u202eb\\u001b[0m"
    sent = json.dumps(
        {"name": HOSTILE, "n": 12345678901234567890, "tags": ["ü", "\u2028"]}, ensure_ascii=False
    )
    pretty = pretty_json(sent)
    assert pretty is not None
    assert json.loads(pretty) == json.loads(sent)
    assert not HIDING.search(pretty)
    assert pretty_json("not \x1b JSON") == "not \\u001b JSON"
    assert pretty_json(None) is None
