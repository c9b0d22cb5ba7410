"""A conversation's whole history."""

import re
from urllib.parse import urlencode

from inspector.pages.conversation import history
from support.inspector_samples import HOSTILE, Browser


def test_a_hostile_conversation_has_its_page(reader: Browser) -> None:
    """Also where its id is markup."""
    page = reader.get("/conversation?" + urlencode({"id": HOSTILE})).text
    assert "rejected" in page
    assert "<script>alert" not in page


def test_a_conversation_shows_its_whole_history(reader: Browser) -> None:
    """Created, closed, closed again: each with its event, what became of it, and what was sent."""
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", reader.get("/conversation?id=conversation-1").text))
    told = text[text.index("History") :]
    assert told.index("Created") < told.index("Closed") < told.index("Closed again")
    assert "taken in" in text
    assert "1 attempt" in text
    assert "Zoë 1" in text


def test_an_unknown_conversation_is_said_to_be_unknown(reader: Browser) -> None:
    """With the command that reads further back."""
    answer = reader.get("/conversation?id=nobody")
    assert answer.status_code == 404
    assert "gladly-segment resync" in answer.text


def change(type_: str, at: str, transition: str | None, why: str) -> dict[str, str | None]:
    """A row of `changes`."""
    return {
        "type": type_,
        "recorded_at": at,
        "transition": transition,
        "why": why,
        "status_before": None,
        "status_after": "OPEN",
    }


def test_a_history_joins_changes_with_the_events_they_made() -> None:
    """What meant nothing new is there too, with the reason."""
    event = {"transition": "created", "occurred_at": "2026-11-20T08:00:00.000Z"}
    changes = [
        change("CREATED", "2026-11-20T08:00:00.000Z", "created", "not known before"),
        change("REOPENED", "2026-11-20T09:00:00.000Z", None, "open already"),
    ]
    first, second = history(None, changes, [event], None)
    assert (first.what, first.note, first.states, first.event) == (
        "Created",
        "created: not known before",
        "- → OPEN",
        event,
    )
    assert (second.what, second.note, second.event) == ("Reopened", "nothing new: open already", None)


def test_a_history_ends_with_a_merge_or_a_deletion() -> None:
    """Why nothing more is sent."""
    stored = {
        "status": "DELETED",
        "created_at": "2026-11-20T08:00:00.000Z",
        "updated_at": "2026-11-20T09:00:00.000Z",
    }
    customer = {
        "merged_into": None,
        "merged_at": None,
        "deleted_at": "2026-11-20T10:00:00.000Z",
        "reason": "customer was deleted",
    }
    told = [(moment.what, moment.note) for moment in history(stored, [], [], customer)]
    assert told == [
        ("Created at Gladly", None),
        ("Deleted", "Nothing more is sent for it."),
        ("Customer deleted", "customer was deleted"),
    ]
