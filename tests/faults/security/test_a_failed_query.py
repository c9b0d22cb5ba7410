"""A query fails in `inspect`. What the person asked for is in no log and on no terminal."""

import pytest
import requests

from support.inspector_samples import at, fill, served, touch

EMAIL = "zoe@example.com"

FAILING = [
    f"state?sql=select+nothing+from+events+where+payload=:email&email={EMAIL}",
    f"state.json?sql=select+json(:email)&email={EMAIL}",
    f"state.json?sql=select+abs(-9223372036854775808),+:email&email={EMAIL}",
    f"state?sql=select+*+from+%22{EMAIL}%22",
    f"state.csv?sql=select+json(:email)&email={EMAIL}",
    f"state.csv?sql=select+'{EMAIL}&email={EMAIL}",
    f"state/events.json?_where=json('{EMAIL}')",
    f"state/events?_where=payload+match+'{EMAIL}'",
    f"state/events?customer_id__nothing={EMAIL}",
    f"state/events/{EMAIL}",
    f"state/sent_for_customer?customer_id={EMAIL}&_shape={EMAIL}",
    f"conversation?id={EMAIL}",
    f"api/event?id={EMAIL}",
    f"api/events?after={EMAIL}&before={EMAIL}&limit={EMAIL}",
]


@pytest.fixture
def state_path(tmp_path):
    """A state file with something of everything."""
    fill(tmp_path / "state.db")
    return tmp_path / "state.db"


def test_what_was_asked_for_is_printed_nowhere(state_path):
    """Datasette prints a query that fails, with its parameters. Here nothing of it is (faults H3.9)."""
    with served(state_path) as (url, process):
        statuses = [requests.get(at(url, page), timeout=10).status_code for page in FAILING]
        assert 400 in statuses
        process.terminate()
        out, err = process.communicate(timeout=10)
    assert EMAIL not in out + err
    assert "zoe" not in out + err


def test_an_error_of_our_own_pages_says_where_and_what_kind(state_path):
    """Without its table a page fails. The terminal has the page and the error's kind only (faults H3.9)."""
    with served(state_path) as (url, process):
        touch(state_path, "ALTER TABLE events RENAME TO lost")
        assert requests.get(at(url, f"api/events?q={EMAIL}"), timeout=10).status_code == 500
        process.terminate()
        _, err = process.communicate(timeout=10)
    assert "inspect: /api/events: OperationalError" in err
    assert EMAIL not in err
    assert "no such table" not in err
