"""The names of the world's people and things, and customer profiles as uneven as real ones."""

import random

from sandbox.world.records import Wire

INBOXES = ("General", 'Returns, repairs and "VIP"', "Wholesale")

AGENTS = (
    "Ana Lopez",
    "O'Neill, Siobhán",
    "Kwame Mensah",
    "李娜",
    "Priya Raman",
    "Zoë van den Berg",
    'Robert "Bob" Tables',
    "Łukasz Wiśniewski",
)

# Reports are CSV, and people put commas, quotes and line breaks into the names of topics.
TOPICS = ("Delivery", "Billing, refunds", "Returns\nand repairs", 'The "new" app', "Größenberatung", "Other")

_GIVEN = (
    "Ada", "Bilal", "Chloé", "Dmitri", "Emeka", "Fatima", "Giulia", "Hana", "Ivo", "Jürgen", "Keiko", "Liam",
    "María José", "Noor", "Ólafur", "Peng", "Quentin", "Rosa", "Søren", "Thandiwe", "Uxue", "Văn", "Wren",
    "Xóchitl", "Yusuf", "Žofia",
)  # fmt: skip
_FAMILY = (
    "Abara", "Bergström", "Castillo", "Dubois", "Eze", "Fischer", "García", "Haddad", "Ito", "Jansen",
    "Kovač", "Lindqvist", "Müller", "Nakamura", "O'Brien", "Pereira", "Quispe", "Rossi", "Şahin", "Tanaka",
    "Ueda", "Vasquez", "Wójcik", "Yılmaz", "Zhou",  # noqa: RUF001  # her name is spelled so
)  # fmt: skip

# Area codes. In each of them the numbers 555-0100 to 555-0199 are reserved for fiction.
_US_AREAS = (202, 206, 212, 213, 214, 215, 216, 281)


def name(rng: random.Random) -> str:
    """Draw a person's name."""
    return f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}"


def profile(rng: random.Random) -> Wire:
    """
    Draw the keyword arguments of `World.add_customer`.

    Some profiles have no e-mail or phone. Some have several e-mails and none of them is primary. Some show a
    phone only as it was typed. All addresses are in example.com and example.org, and all numbers come from
    ranges that are reserved for fiction.
    """
    who: Wire = {"name": name(rng) if rng.random() < 0.95 else None}
    who["emails"] = _emails(rng)
    who["phones"] = _phones(rng)
    who["custom_attributes"] = _attributes(rng)
    if rng.random() < 0.2:
        who["address"] = (
            f"{rng.randrange(1, 200)} Example Street\n{rng.choice(('Springfield', 'Zürich', '東京'))}"
        )
    if rng.random() < 0.3:
        who["external_customer_id"] = f"crm-{rng.randrange(10**6):06d}"
    return who


def email(rng: random.Random, *, primary: bool | None = None) -> Wire:
    """Draw an e-mail entry. When *primary* is None, the entry has no `primary`."""
    typed = f"{rng.choice(('Ada', 'b.k', 'chat+shop', 'Info', 'mail', 'z'))}{rng.randrange(10**5)}"
    typed += rng.choice(("@example.com", "@Example.org"))
    entry: Wire = {"original": typed}
    if rng.random() < 0.9:
        entry["normalized"] = typed.lower()
    if primary is not None:
        entry["primary"] = primary
    return entry


def _emails(rng: random.Random) -> list[Wire] | None:
    kind_drawn = rng.random()
    if kind_drawn < 0.1:
        return None
    if kind_drawn < 0.2:
        return []
    if kind_drawn < 0.65:
        return [email(rng, primary=True)]
    if kind_drawn < 0.8:
        return [email(rng, primary=False), email(rng, primary=True)]
    return [email(rng, primary=rng.choice((False, None))) for _ in range(3)]


def _phones(rng: random.Random) -> list[Wire] | None:
    kind_drawn = rng.random()
    if kind_drawn < 0.15:
        return None
    if kind_drawn < 0.35:
        return []
    if kind_drawn < 0.75:
        return [_phone(rng, primary=True)]
    return [_phone(rng, primary=False), _phone(rng, primary=rng.random() < 0.5)]


def _phone(rng: random.Random, *, primary: bool) -> Wire:
    end = rng.randrange(100)
    area = rng.choice(_US_AREAS)
    entry: Wire = rng.choice(
        (
            {
                "normalized": f"+1{area}55501{end:02d}",
                "original": f"({area}) 555-01{end:02d}",
                "regionCode": "US",
            },
            {"original": f"({area}) 555-01{end:02d}"},
            {"original": f"{area}-555-01{end:02d}", "regionCode": "US", "extension": "12"},
            {"original": f"07700 9000{end:02d}", "regionCode": "GB"},
            {"normalized": f"+4420794600{end:02d}", "original": f"020 7946 00{end:02d}", "regionCode": "GB"},
            {"original": f"+44 7700 9001{end:02d}"},
        )
    )
    kind: Wire = {"type": rng.choice(("MOBILE", "HOME", "OTHER"))}
    if rng.random() < 0.3:
        kind["smsPreference"] = "OPT_IN"
    return entry | kind | {"primary": primary}


def _attributes(rng: random.Random) -> Wire | None:
    return rng.choice(
        (
            None,
            {},
            {"membershipTier": rng.choice(("gold", "silver", "none"))},
            {"membershipTier": "gold", "lifetimeValue": 1234.5, "orders": 17, "blocked": False},
            {"スタイル": "モダン", "note": 'said "hello",\nthen left', "tags": ["a", "ü"]},
            {"nested": {"level": {"deep": [1, 2, {"three": None}]}}, "empty": ""},
        )
    )
