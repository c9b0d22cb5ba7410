"""A profile's e-mail addresses and phone numbers are blank, empty or no whole numbers (faults H3.7)."""

from datetime import timedelta

import pytest

from support.checker import problems

NUMBER, ADDRESS = "+12125550142", "wren@example.com"


@pytest.mark.parametrize(
    ("field", "entries", "sent"),
    [
        pytest.param("phones", [{"original": "555-0142"}], None, id="a local number"),
        pytest.param("phones", [{"original": "000 000 0000"}], None, id="zeros"),
        pytest.param(
            "phones", [{"normalized": "+10000000000", "original": "0"}], None, id="normalized zeros"
        ),
        pytest.param("phones", [{"normalized": " ", "original": "(212) 555-0142"}], NUMBER, id="a blank"),
        pytest.param(
            "phones",
            [{"primary": True, "normalized": ""}, {"original": "555-0142"}, {"normalized": NUMBER}],
            NUMBER,
            id="the first that has a number",
        ),
        pytest.param("emails", [{"normalized": " ", "original": ADDRESS}], ADDRESS, id="a blank address"),
        pytest.param(
            "emails",
            [{"primary": True}, {"normalized": "\t"}, {"normalized": ADDRESS}],
            ADDRESS,
            id="the first",
        ),
        pytest.param("emails", [{"normalized": "", "original": "  "}], None, id="no address at all"),
    ],
)
def test_what_reaches_nobody_is_passed_over_and_left_out(begin, sandbox, field, entries, sent):
    """The next entry that has something counts. Without any the property is left out (faults H3.7)."""
    customer = sandbox.world.add_customer("Wren", **{field: entries})
    sandbox.world.open_conversation(customer, at=sandbox.clock.now() - timedelta(minutes=2))
    assert begin().run().errors == []
    (event,) = sandbox.inbox.received
    assert event["properties"].get({"phones": "phone", "emails": "email"}[field]) == sent
    assert problems(sandbox) == []
