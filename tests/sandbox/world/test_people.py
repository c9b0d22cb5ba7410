"""Drawn profiles are as uneven as real ones."""

from support.sandbox_clients import lived


def test_profiles_are_as_uneven_as_real_ones():
    profiles = [customer.wire() for customer in lived(1, 1, [8 * 3600]).customers.values()]
    emails = [profile.get("emails") for profile in profiles]
    phones = [phone for profile in profiles for phone in profile.get("phones", [])]
    assert None in emails
    assert [] in emails
    assert any(e and len(e) > 1 and not any(entry.get("primary") for entry in e) for e in emails)
    assert all(sum(bool(entry.get("primary")) for entry in e or []) <= 1 for e in emails)
    assert any("normalized" not in phone and "regionCode" in phone for phone in phones)
    assert any("normalized" not in phone and "regionCode" not in phone for phone in phones)
    assert all(sum(bool(p.get("primary")) for p in profile.get("phones", [])) <= 1 for profile in profiles)
    assert {} in [profile.get("customAttributes") for profile in profiles]
    assert any("name" not in profile for profile in profiles)
    mails = [entry["original"].lower() for e in emails for entry in e or []]
    assert all(mail.endswith(("@example.com", "@example.org")) for mail in mails)
