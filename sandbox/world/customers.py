"""The customers' part of a world: profiles are added, changed, merged into another, and deleted."""

from collections.abc import Sequence
from datetime import datetime
from types import EllipsisType
from typing import Any

from sandbox.timekeeping.instants import object_time
from sandbox.world import people
from sandbox.world.history import SYSTEM, WorldHistory, locked
from sandbox.world.records import Customer, Wire

# The wire name of each argument of `update_profile` and `add_customer` that Python spells differently.
_PROFILE_FIELDS = {
    "custom_attributes": "customAttributes",
    "external_customer_id": "externalCustomerId",
    "external_customer_ids": "externalCustomerIds",
}


class Customers(WorldHistory):
    """The actions on customers."""

    @locked
    def add_customer(
        self,
        name: str | EllipsisType | None = ...,
        *,
        emails: Sequence[Wire] | None = (),
        phones: Sequence[Wire] | None = (),
        custom_attributes: Wire | None = None,
        address: str | None = None,
        external_customer_id: str | None = None,
        id: str | None = None,
        at: datetime | None = None,
        late_s: float | None = None,
        recorded: bool = True,
    ) -> Customer:
        """
        Add a customer profile (`CUSTOMER_PROFILE/CREATED`).

        Args:
            name: The profile's name. Without this argument a name is drawn; None leaves the name out.
            emails: Objects as on the wire, `{"normalized", "original", "primary"}`. None leaves the list out.
            phones: Objects as on the wire, `{"normalized", "original", "regionCode", "primary"}`. None leaves
                the list out.
            custom_attributes: The profile's `customAttributes`; None leaves them out.
            address: A postal address in one string; None leaves it out.
            external_customer_id: The customer's id in another system; None leaves it out.
            id: The customer's id; None draws one.
            at: When the profile was created; None means now.
            late_s: World seconds until the feed shows the change; None draws them.
            recorded: False adds the profile without a change in the feed.
        Raises:
            ValueError: *id* is in use.
        """
        when = self._moment(at)
        customer_id = id or self.new_id()
        if customer_id in self.customers:
            raise ValueError(f"there is a customer {customer_id} already")
        shown = {
            "name": people.name(self.draw) if isinstance(name, EllipsisType) else name,
            "address": address,
            "emails": None if emails is None else [dict(email) for email in emails],
            "phones": None if phones is None else [dict(phone) for phone in phones],
            "customAttributes": custom_attributes,
            "externalCustomerId": external_customer_id,
            "createdAt": object_time(when, customer_id),
            "updatedAt": object_time(when, customer_id),
        }
        profile = {"id": customer_id} | {key: value for key, value in shown.items() if value is not None}
        customer = Customer(customer_id, when, [(when, profile)])
        self.customers[customer_id] = customer
        if recorded:
            self._record("CUSTOMER_PROFILE/CREATED", when, late_s, SYSTEM, customer_id=customer_id)
        return customer

    def update_profile(
        self,
        customer: Customer | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
        **fields: Any,
    ) -> Customer:
        """
        Change fields of a profile (`CUSTOMER_PROFILE/UPDATED`).

        Args:
            customer: Whose profile, as a record or an id.
            at: When; None means now.
            late_s: World seconds until the feed shows the change; None draws them.
            fields: The new values, named as on the wire or in Python's spelling. None removes a field.
        """
        with self.lock:
            who = self._present_customer(customer)
            when = self._moment(at)
            self._change_profile(who, when, {_PROFILE_FIELDS.get(key, key): v for key, v in fields.items()})
            self._record("CUSTOMER_PROFILE/UPDATED", when, late_s, SYSTEM, customer_id=who.id)
            return who

    @locked
    def merge(
        self,
        source: Customer | str,
        destination: Customer | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Customer:
        """
        Merge *source* into *destination* (`CUSTOMER/MERGED`) and return *destination*.

        When both have an open conversation, the destination's conversation absorbs the source's: Gladly
        answers 404 for the absorbed conversation from then on, and never records its close. Every other
        conversation of the source now belongs to the destination. The destination's profile gains the
        source's e-mails and phones.

        Args:
            source: The customer who disappears, as a record or an id.
            destination: The customer who remains, as a record or an id.
            at: When; None means now.
            late_s: World seconds until the feed shows the change; None draws them.
        Raises:
            ValueError: Both are the same customer, or one of them was merged or deleted already.
        """
        gone, stays = self._present_customer(source), self._present_customer(destination)
        if gone is stays:
            raise ValueError("a customer cannot be merged into itself")
        when = self._moment(at)
        detail: Wire = {"sourceCustomerId": gone.id, "destinationCustomerId": stays.id}
        if gone.open_conversation_id and stays.open_conversation_id:
            detail["sourceConversationId"] = gone.open_conversation_id
            detail["destinationConversationId"] = stays.open_conversation_id
            absorbed = self.conversations[gone.open_conversation_id]
            absorbed.gone, absorbed.gone_at = "merged", when
            absorbed.merged_into = stays.open_conversation_id
            gone.open_conversation_id = None
        elif self.draw.random() < 0.5:
            # Without two open conversations, Gladly leaves the two ids out or shows them empty.
            detail |= {"sourceConversationId": "", "destinationConversationId": ""}
        for conversation_id in gone.conversation_ids:
            moved = self.conversations[conversation_id]
            if moved.gone is None:
                self._change(moved, when, customer_id=stays.id)
                stays.conversation_ids.append(conversation_id)
        if gone.open_conversation_id:
            stays.open_conversation_id, gone.open_conversation_id = gone.open_conversation_id, None
        gone.merged_into = stays.id
        self.merged[gone.id] = (stays.id, when)
        self._gather_addresses(stays, gone, when)
        self._record("CUSTOMER/MERGED", when, late_s, SYSTEM, detail=detail)
        return stays

    @locked
    def delete(
        self, customer: Customer | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> None:
        """
        Delete a customer and all its conversations (`CUSTOMER_PROFILE/DELETED`).

        Gladly answers 404 for each of them from then on.

        Raises:
            ValueError: A conversation is still open. Nothing has been deleted.
        """
        who = self._present_customer(customer)
        if who.open_conversation_id is not None:
            raise ValueError("a customer can only be deleted once all its conversations are closed")
        when = self._moment(at)
        for conversation_id in who.conversation_ids:
            conversation = self.conversations[conversation_id]
            if conversation.gone is None:
                conversation.gone, conversation.gone_at = "deleted", when
        who.deleted_at = when
        self.deleted[who.id] = when
        self._record("CUSTOMER_PROFILE/DELETED", when, late_s, SYSTEM, customer_id=who.id)

    def _change_profile(self, who: Customer, when: datetime, fields: Wire) -> None:
        changed = who.wire() | fields | {"updatedAt": object_time(when, f"{who.id}{when}")}
        who.versions.append((when, {key: value for key, value in changed.items() if value is not None}))

    def _gather_addresses(self, stays: Customer, gone: Customer, when: datetime) -> None:
        gained: Wire = {}
        for kind in ("emails", "phones"):
            own = stays.wire().get(kind) or []
            known = {entry.get("normalized") or entry.get("original") for entry in own}
            more = [
                entry | {"primary": False}
                for entry in gone.wire().get(kind) or []
                if (entry.get("normalized") or entry.get("original")) not in known
            ]
            if more:
                gained[kind] = own + more
        if gained:
            self._change_profile(stays, when, gained)
