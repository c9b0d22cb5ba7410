"""What differs between two events, how, and whether a setting explains it (semantics 6.5)."""

import pytest

from state.instants import from_text
from sync.audit.compare_fields import Kind, differences, is_same_instant
from sync.events.options import AS_GLADLY, EventOptions
from sync.events.track import hash_of

OURS = {
    "userId": "u",
    "timestamp": "2026-11-20T08:00:00.123Z",
    "conversationId": "c",
    "email": "zoe@example.com",
    "phone": "+12125550123",
    "customerName": "Zoë Quinn",
    "status": "CLOSED",
    "topicIds": ["t-1", "t-2"],
    "customAttributes": {"membershipTier": "gold", "visits": 3, "vip": True, "home": {"zipCode": "10001"}},
}


def found(theirs, options=AS_GLADLY, *, ours=OURS, is_row=False):
    return [(d.name, d.kind, d.expected_by) for d in differences(ours, theirs, options, is_row=is_row)]


def test_the_same_does_not_differ():
    assert found(dict(OURS)) == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"email": "Zoe@Example.com "}, Kind.OTHER_FORMAT),
        ({"email": "other@example.com"}, Kind.OTHER_VALUE),
        ({"phone": "(1) 212 555-0123"}, Kind.OTHER_FORMAT),
        ({"topicIds": ["t-2", "t-1"]}, Kind.OTHER_FORMAT),
        ({"topicIds": ["t-2"]}, Kind.OTHER_VALUE),
        ({"agentId": None}, None),
        ({"agentId": ""}, Kind.OTHER_FORMAT),
        ({"agentId": "a"}, Kind.MISSING_HERE),
        ({"email": None}, Kind.MISSING_THERE),
        ({"customAttributes": {}}, Kind.OTHER_VALUE),
        ({"timestamp": "2026-11-20T08:00:00Z"}, None),
        ({"timestamp": "2026-11-20T09:00:00.123+01:00"}, None),
        ({"timestamp": "2026-11-20T08:00:01Z"}, Kind.OTHER_VALUE),
        ({"timestamp": "2026-11-20T08:00:00.124Z"}, Kind.OTHER_VALUE),
    ],
)
def test_how_a_field_differs(change, kind):
    """Null and absent are one; an instant without a fraction is one to the second."""
    assert [k for _, k, _ in found(OURS | change)] == ([kind] if kind else [])


def test_what_is_personal_is_never_shown():
    """Nor is anything that is not known (SECURITY.md)."""
    changed = {name: f"another {name}" for name in ("email", "phone", "customerName", "agentName", "newOne")}
    for difference in differences(OURS, OURS | changed, AS_GLADLY, is_row=False):
        assert (difference.here, difference.there) == ("", "")
    [shown] = differences(OURS, OURS | {"status": "OPEN"}, AS_GLADLY, is_row=False)
    assert (shown.here, shown.there) == ("CLOSED", "OPEN")


def test_hostile_text_of_theirs_stays_on_its_line():
    """What is shown is escaped and cut."""
    [shown] = differences(OURS, OURS | {"status": "\x1b[2J" + "x" * 500}, AS_GLADLY, is_row=False)
    assert shown.there.startswith("\\x1b[2J")
    assert len(shown.there) < 100
    [named] = differences(OURS, OURS | {"\x1b" * 900: 1}, AS_GLADLY, is_row=False)
    assert named.name.isprintable()


def test_which_setting_explains_a_difference():
    """And the wrong hash is explained by none."""
    options = EventOptions("closed", add=("inboxId",), leave_out=("customerName",), hashed=("email",))
    hashed = hash_of(OURS["email"])
    ours = {**OURS, "inboxId": "i", "emailSha256": hashed, "timestamp": "2026-11-21T08:00:00.000Z"}
    del ours["customerName"], ours["email"]
    assert sorted(found(OURS, options, ours=ours)) == [
        ("customerName", "missing here", "properties.leave_out"),
        ("email", "other value", "properties.hash"),
        ("inboxId", "missing there", "properties.add"),
        ("timestamp", "other value", "sync.closed_timestamp"),
    ]
    assert ("email", "other value", "") in found(OURS, options, ours=ours | {"emailSha256": "0" * 64})
    assert ("phone", "other value", "") in found(OURS | {"phone": "+1"}, options, ours=ours)


def test_a_hash_that_both_sides_have_is_the_same():
    """What is compared may be our own source: both have it under the name of a hash."""
    ours = {**OURS, "emailSha256": hash_of(OURS["email"])}
    del ours["email"]
    assert found(ours, EventOptions(hashed=("email",)), ours=ours) == []


def test_the_id_of_another_system_is_explained_and_not_shown():
    """It may be an e-mail address (SECURITY.md, privacy)."""
    options = EventOptions(user_id="externalCustomerId", add=("externalCustomerId",))
    ours = OURS | {"userId": "zoe@example.com", "externalCustomerId": "zoe@example.com"}
    shown = {d.name: d for d in differences(ours, OURS, options, is_row=False)}
    assert {name: d.expected_by for name, d in shown.items()} == {
        "userId": "properties.user_id",
        "externalCustomerId": "properties.add",
    }
    assert "zoe@example.com" not in repr(shown)


def test_a_row_of_a_warehouse_is_compared_as_far_as_its_columns_go():
    """Custom attributes are flattened text, and a column that the table lacks says nothing."""
    row = {
        "conversationId": "c",
        "email": "zoe@example.com",
        "agentId": None,
        "topicIds": ["t-1", "t-2"],
        "customAttributes": {
            "membership_tier": "gold",
            "visits": "3.0",
            "vip": "t",
            "home_zip_code": "10001",
        },
    }
    assert found(row, is_row=True) == []
    row["customAttributes"] = row["customAttributes"] | {"visits": "4"}
    row["email"] = None
    [email, attributes] = differences(OURS, row, AS_GLADLY, is_row=True)
    assert (email.name, email.kind) == ("email", Kind.MISSING_THERE)
    assert (attributes.name, attributes.keys) == ("customAttributes", ("visits",))


def test_a_list_that_is_empty_here_may_be_null_in_a_warehouse():
    ours = {**OURS, "topicIds": [], "customAttributes": {}}
    assert found({"topicIds": None, "customAttributes": {}}, ours=ours, is_row=True) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2026-11-20T08:00:00.123Z", "2026-11-20T08:00:00.123456Z", True),
        ("2026-11-20T08:00:00.123Z", "2026-11-20T08:00:00.999Z", False),
        ("2026-11-20T08:00:00.123Z", "2026-11-20T08:00:00Z", True),
        ("2026-11-20T08:00:00.999Z", "2026-11-20T08:00:01Z", False),
    ],
)
def test_an_instant_is_one_to_the_finest_that_both_sides_have(one, other, same):
    assert is_same_instant(from_text(one), from_text(other)) is same
