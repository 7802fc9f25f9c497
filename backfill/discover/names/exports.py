"""The exports of well-known tools, recognised by their columns.

A name such as `Created at` or `Id` says little by itself. Beside the other columns of a Shopify
order it says what it is. Names are compared by their letters and digits alone, nested ones with
the names on the way to them, so `properties.$email` is `propertiesemail`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

__all__ = ["Export", "recognise"]

_PHONE = ("contact.phone", "target.value")
_TYPE = ("type", "label")


@dataclass(frozen=True)
class Export:
    """A tool's export. `utc` says that it writes times without a zone in UTC, `people` that a row
    is a contact, on whichever side.
    """

    tool: str
    ranks: Mapping[tuple[str, str], int]
    utc: bool
    people: bool

    def rank(self, field: str, column: str) -> int | None:
        """How good a source of a field (`time` among them) a column is, 0 for the best."""
        return self.ranks.get((field, _plain(column)))


@dataclass(frozen=True)
class _Tool:
    """Columns by what they hold, with commas between them, the best first.

    `events` and `people` are sets of columns, one of which has to be there as a whole; a column
    with `-` before it must not be there. Where a row is one of `people`, `own_id` is the contact's
    id, in all else `id`.
    """

    name: str
    events: tuple[str, ...]
    people: tuple[str, ...]
    id: str
    own_id: str
    time: str
    type: str
    email: str
    phone: str
    first: str = ""
    last: str = ""
    language: str = ""
    utc: bool = False

    def export(self, *, people: bool) -> Export:
        fields = {
            ("contact.id",): self.own_id if people else self.id,
            ("time",): self.time,
            _TYPE: self.type,
            ("contact.email",): self.email,
            _PHONE: self.phone,
            ("contact.name",): self.first,
            ("contact.lastName",): self.last,
            ("contact.language",): self.language,
        }
        return Export(
            self.name,
            {
                (field, column): rank
                for names, columns in fields.items()
                for field in names
                for rank, column in reversed([*enumerate(_listed(columns))])
            },
            self.utc,
            people,
        )


_TOOLS = (
    _Tool(
        "Segment",
        events=(
            *("anonymousId,messageId", "anonymousId,originalTimestamp", "messageId,userId,type"),
            *("anonymous_id,received_at", "user_id,received_at,event_text"),
        ),
        people=("id,received_at,uuid_ts,-anonymous_id,-event",),
        id="userId,user_id",
        own_id="userId,user_id,id",
        time="timestamp,originalTimestamp,sentAt,receivedAt",
        type="event,event_text,type",
        email="traits.email,context.traits.email,properties.email,context_traits_email,email",
        phone="traits.phone,context.traits.phone,properties.phone,context_traits_phone,phone",
        first="traits.firstName,context.traits.firstName,context_traits_first_name,firstName",
        last="traits.lastName,context.traits.lastName,context_traits_last_name,lastName",
        utc=True,
    ),
    _Tool(
        "Mixpanel",
        events=(
            *("event,properties.distinct_id", "distinct_id,insert_id,event"),
            *("distinct_id,event_name,time", "distinct_id,event,time"),
        ),
        people=("$distinct_id,-event,-event_name",),
        id="properties.distinct_id,distinct_id,properties.$user_id,user_id",
        own_id="$distinct_id",
        time="properties.time,time,properties.$created,$created,properties.$last_seen,$last_seen",
        type="event,event_name",
        email="properties.$email,$email",
        phone="properties.$phone,$phone",
        first="properties.$first_name,$first_name,properties.$name,$name",
        last="properties.$last_name,$last_name",
    ),
    _Tool(
        "Amplitude",
        events=(
            "amplitude_id,event_type",
            "event_type,device_id,insert_id",
            "user_id,event_type,event_time",
        ),
        people=("amplitude_id,user_id,-event_type",),
        id="user_id",
        own_id="user_id",
        time="event_time,client_event_time,last_seen",
        type="event_type",
        email="user_properties.email,event_properties.email,gp:email,email",
        phone="user_properties.phone,user_properties.phone_number,event_properties.phone,gp:phone",
        first="user_properties.first_name,gp:first_name",
        last="user_properties.last_name,gp:last_name",
        utc=True,
    ),
    _Tool(
        "Stripe",
        events=(
            *("Customer ID,Created (UTC)", "Customer ID,Created date (UTC)", "Customer,Date (UTC)"),
            "id,object,livemode",
        ),
        people=(
            "id,Created (UTC),Delinquent",
            "id,Created (UTC),Email,-Amount",
            "id,delinquent,livemode",
        ),
        id="Customer ID,data.object.customer,customer,customer.id",
        own_id="id,Customer ID",
        time="Created (UTC),Created date (UTC),Date (UTC),created",
        type="type,Status,status",
        email=(
            "Customer Email,data.object.billing_details.email,data.object.receipt_email,"
            "billing_details.email,receipt_email,data.object.customer_email,customer_email,email"
        ),
        phone=(
            "Customer Phone,data.object.billing_details.phone,billing_details.phone,customer_phone,"
            "phone"
        ),
        first="Name,Customer Name",
        language="preferred_locales[0]",
        utc=True,
    ),
    _Tool(
        "Salesforce",
        events=(
            *("Id,SystemModstamp", "Id,OwnerId,CreatedDate", "ContactId,CreatedDate"),
            *("WhoId,ActivityDate", "Contact ID,Close Date", "Contact ID,Date,Subject"),
        ),
        people=(
            *("Id,MobilePhone,LastName", "Id,LastName,Email,-ContactId", "Contact ID,Last Name"),
            "Lead ID,Last Name",
        ),
        id="ContactId,WhoId,LeadId",
        own_id="Id,ContactId,LeadId",
        time="ActivityDateTime,CompletedDateTime,CreatedDate,ActivityDate,Date,CloseDate",
        type="TaskSubtype,EventSubtype,ActivityType,Type,StageName,Stage,Status",
        email="Email",
        phone="MobilePhone,Mobile,Phone,HomePhone",
        first="FirstName",
        last="LastName",
        utc=True,
    ),
    _Tool(
        "HubSpot",
        events=(
            *("Record ID,Associated Contact IDs", "Record ID,Associated Contact"),
            *("Record ID,Activity date", "Record ID,Deal Stage", "Record ID,Create Date"),
            *("objectId,objectType,occurredAt", "properties.hs_object_id,properties.hs_timestamp"),
            *("properties.hs_object_id,properties.dealstage", "hs_object_id,createdate"),
            "properties.hs_object_id,properties.createdate",
        ),
        people=(
            *("Record ID,First Name", "Record ID,Last Name", "Record ID,Email,-Associated Contact"),
            *(
                "Record ID,Lifecycle Stage,-Deal Stage,-Associated Contact IDs",
                "Contact ID,Email,Create Date",
            ),
            *(
                "hs_object_id,email",
                "properties.hs_object_id,properties.email",
                "vid,properties.email",
            ),
        ),
        id=(
            "Associated Contact IDs,Associated Contact ID,Contact ID,objectId,"
            "associations.contacts.results[0].id"
        ),
        own_id=(
            "Record ID,Record ID - Contact,Contact ID,properties.hs_object_id,hs_object_id,id,vid"
        ),
        time=(
            "Activity date,Occurred at,properties.hs_timestamp,hs_timestamp,Create Date,createdate,"
            "properties.createdate,createdAt"
        ),
        type=(
            "Activity type,Event name,eventType,Deal Stage,properties.dealstage,Lifecycle Stage,"
            "properties.lifecyclestage,lifecyclestage"
        ),
        email="Email,properties.email",
        phone=(
            "Mobile Phone Number,properties.mobilephone,mobilephone,Phone Number,properties.phone,"
            "phone"
        ),
        first="First Name,properties.firstname",
        last="Last Name,properties.lastname",
        language="Preferred language,hs_language,properties.hs_language",
    ),
    _Tool(
        "Shopify",
        events=(
            *("Financial Status,Lineitem quantity", "financial_status,line_items"),
            *("financial_status,line_items[0].id", "displayFinancialStatus,createdAt"),
            "financial_status,processed_at",
        ),
        people=(
            *("Accepts Email Marketing,Total Spent", "Accepts Marketing,Total Spent"),
            *("orders_count,total_spent", "numberOfOrders,email", "numberOfOrders,firstName"),
        ),
        id="Customer ID,customer.id,Email",  # the Id of an order is the order's
        own_id="Customer ID,id",
        time="Created at,processed_at,Paid at,updated_at",
        type="Financial Status,displayFinancialStatus,Fulfillment Status",
        email="Email,contact_email,customer.email,defaultEmailAddress.emailAddress",
        phone=(
            "Phone,customer.phone,Billing Phone,Shipping Phone,billing_address.phone,"
            "shipping_address.phone,Default Address Phone,default_address.phone,"
            "defaultPhoneNumber.phoneNumber"
        ),
        first="First Name,customer.first_name,Billing Name",
        last="Last Name,customer.last_name",
        language="customer_locale,locale",
    ),
)


def recognise(columns: Iterable[str], side: Literal["events", "contacts"]) -> Export | None:
    """The tool that most likely wrote these columns: that of which most of them are known."""
    have = frozenset(map(_plain, columns))
    found = []
    for tool in _TOOLS:
        people = _marked(have, tool.people)
        if people or _marked(have, tool.events):
            found.append(_export(tool, people or side == "contacts"))
    return max(found, key=lambda each: len({name for _, name in each.ranks} & have), default=None)


def _marked(have: frozenset[str], marks: Iterable[str]) -> bool:
    """Whether one of the marks fits the names that there are."""
    return any(
        all((_plain(each) in have) is not each.startswith("-") for each in mark.split(","))
        for mark in marks
    )


@cache
def _export(tool: _Tool, people: bool) -> Export:
    return tool.export(people=people)


def _listed(columns: str) -> list[str]:
    return [_plain(each) for each in columns.split(",") if each]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
