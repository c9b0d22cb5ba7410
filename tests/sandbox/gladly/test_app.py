"""Every path is answered in Gladly's way, known or not."""

from urllib.parse import quote

import pytest
import requests

from support.sandbox_clients import feed


def test_unknown_calls_are_answered_in_json(sandbox, gladly):
    assert gladly.get("/nowhere").status_code == 404
    assert gladly.get("/nowhere").json()["errors"]
    assert gladly.post("/agents").status_code == 405
    assert gladly.post("/agents").json()["errors"]
    assert requests.get(sandbox.gladly_url + "/nowhere", timeout=5).status_code == 404


@pytest.mark.parametrize("id", ["../../etc", "a/b?c#d", "new\nline", "ü; DROP TABLE"])
def test_an_id_may_hold_anything_when_it_is_percent_encoded(sandbox, gladly, id):
    talk = sandbox.world.open_conversation(sandbox.world.add_customer(id=f"c{id}"), id=id)
    assert gladly.get(f"/conversations/{quote(id, safe='')}").json()["id"] == talk.id
    assert gladly.get(f"/customer-profiles/{quote(talk.customer_id, safe='')}").json()["id"] == f"c{id}"
    assert feed(gladly)[0]["content"]["conversationId"] == id
