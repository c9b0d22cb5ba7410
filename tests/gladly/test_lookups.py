"""A profile kept in memory is the profile that was read (semantics 2.4)."""

import pytest

from sync.events.gladly_objects import Email, Phone, Profile
from sync.gladly.lookups import _KeptProfile


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(Profile(id="c-1"), id="nothing known"),
        pytest.param(
            Profile(
                id="c-1",
                name="Zoë Quinn",
                emails=[Email(normalized="zoe@example.com", primary=True)],
                phones=[Phone(original="(212) 555-0123", region_code="US")],
                custom_attributes={"membershipTier": "gold", "nested": {"visits": [3, None, 2.5]}},
            ),
            id="all known",
        ),
        pytest.param(Profile(id="c-1", name="half \ud83d"), id="half a character, which has no UTF-8"),
    ],
)
def test_what_is_kept_is_what_was_read(profile: Profile) -> None:
    """Field for field, and whose it is beside it, for the changes that make it out of date."""
    kept = _KeptProfile.of(profile)
    assert kept.id == "c-1"
    assert kept.profile() == profile
