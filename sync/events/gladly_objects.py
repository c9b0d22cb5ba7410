"""
Define the objects of Gladly that an event is made of: a conversation and a customer's profile, as Gladly
shows them now.

Unknown fields are ignored. Optional fields may be missing or null, because Gladly may add and drop fields at
any time (gladly-api, evolution). Gladly's camelCase names stop here.
"""

from typing import Any

import msgspec


class _Object(msgspec.Struct, rename="camel", kw_only=True): ...


class GladlyConversation(_Object):
    """Hold the answer to `GET /conversations/{id}`. `status` is Gladly's word, and may be a new one."""

    id: str
    customer_id: str
    status: str
    created_at: str | None = None
    closed_at: str | None = None
    inbox_id: str | None = None
    agent_id: str | None = None
    topic_ids: list[str] | None = None


class Email(_Object):
    """Hold an e-mail address of a profile."""

    normalized: str | None = None
    original: str | None = None
    primary: bool | None = None


class Phone(_Object):
    """Hold a phone number of a profile. `normalized` is the number in E.164."""

    normalized: str | None = None
    original: str | None = None
    region_code: str | None = None
    primary: bool | None = None


class Profile(_Object, omit_defaults=True):
    """
    Hold the answer to `GET /customer-profiles/{id}`.

    A customer's ids in other systems are a list in some answers and one id in others. Both are read.
    """

    id: str = ""
    name: str | None = None
    emails: list[Email] | None = None
    phones: list[Phone] | None = None
    custom_attributes: Any = None  # an object; its fields are the organization's own
    external_customer_ids: list[str] | None = None
    external_customer_id: str | None = None
