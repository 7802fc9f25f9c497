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
    """A tool's export. `utc` says that it writes times without a zone in UTC."""

    tool: str
    ranks: Mapping[tuple[str, str], int]
    utc: bool

    def rank(self, field: str, column: str) -> int | None:
        """How good a source of a field (`time` among them) a column is, 0 for the best."""
        return self.ranks.get((field, _plain(column)))


@dataclass(frozen=True)
class _Tool:
    """`marks` are sets of columns, one of which has to be there as a whole. `own_id` is the id in
    a list of contacts, `id` the contact's in all else.
    """

    name: str
    marks: tuple[str, ...]
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

    def export(self, side: Literal["events", "contacts"]) -> Export:
        fields = {
            ("contact.id",): self.own_id if side == "contacts" else self.id,
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
                (field, _plain(column)): rank
                for names, columns in fields.items()
                for field in names
                for rank, column in enumerate(columns.split(","))
                if column
            },
            self.utc,
        )


_TOOLS = (
    _Tool(
        "Segment",
        marks=(
            "anonymousId,messageId",
            "anonymous_id,received_at",
            "anonymousId,originalTimestamp",
        ),
        id="userId,user_id",
        own_id="userId,user_id,id",
        time="timestamp,originalTimestamp,receivedAt",
        type="event,event_text,type",
        email="traits.email,context.traits.email,properties.email,context_traits_email,email",
        phone="traits.phone,context.traits.phone,properties.phone,context_traits_phone,phone",
        first="traits.firstName,context.traits.firstName,context.traits.first_name",
        last="traits.lastName,context.traits.lastName,context.traits.last_name",
        utc=True,
    ),
    _Tool(
        "Mixpanel",
        marks=("event,properties.distinct_id", "$distinct_id", "distinct_id,insert_id,event"),
        id="properties.distinct_id,distinct_id,properties.$user_id",
        own_id="$distinct_id,distinct_id",
        time="properties.time,time",
        type="event",
        email="$properties.$email,properties.$email,properties.email,$email",
        phone="$properties.$phone,properties.$phone,properties.phone,$phone",
        first="$properties.$first_name,properties.$first_name,$properties.$name",
        last="$properties.$last_name,properties.$last_name",
    ),
    _Tool(
        "Amplitude",
        marks=("amplitude_id,event_type", "event_type,device_id,insert_id"),
        id="user_id",
        own_id="user_id",
        time="event_time,client_event_time",
        type="event_type",
        email="user_properties.email,event_properties.email",
        phone="user_properties.phone,user_properties.phone_number,event_properties.phone",
        first="user_properties.first_name,user_properties.firstName",
        last="user_properties.last_name,user_properties.lastName",
        utc=True,
    ),
    _Tool(
        "Stripe",
        marks=(
            *("Customer ID,Created (UTC)", "Customer ID,Created date (UTC)"),
            *("id,Created (UTC),Delinquent", "id,object,livemode"),
        ),
        id="Customer ID,data.object.customer,customer",
        own_id="Customer ID,id",
        time="Created (UTC),Created date (UTC),created",
        type="type,Status,status",
        email=(
            "Customer Email,data.object.billing_details.email,data.object.receipt_email,"
            "billing_details.email,receipt_email,email"
        ),
        phone="Customer Phone,data.object.billing_details.phone,billing_details.phone,phone",
        first="Name,Customer Name",
        utc=True,
    ),
    _Tool(
        "Salesforce",
        marks=(
            *("Id,SystemModstamp", "Id,OwnerId,CreatedDate", "Id,MobilePhone,LastName"),
            *("ContactId,CreatedDate", "WhoId,ActivityDate"),
        ),
        id="ContactId,WhoId,Contact ID",
        own_id="Id,Contact ID,ContactId",
        time="ActivityDateTime,CompletedDateTime,CreatedDate,CloseDate",
        type="TaskSubtype,EventSubtype,Type,StageName,Status",
        email="Email",
        phone="MobilePhone,Phone,HomePhone",
        first="FirstName",
        last="LastName",
        utc=True,
    ),
    _Tool(
        "HubSpot",
        marks=(
            *("Record ID,Create Date", "Record ID,Associated Contact IDs"),
            *("Record ID,Lifecycle Stage", "hs_object_id,createdate"),
        ),
        id="Associated Contact IDs,Associated Contact ID,Contact ID",
        own_id="Record ID,hs_object_id",
        time="Activity date,Occurred at,Create Date,createdate",
        type="Activity type,Event name,Deal Stage,Lifecycle Stage",
        email="Email",
        phone="Mobile Phone Number,Phone Number,mobilephone,phone",
        first="First Name,firstname",
        last="Last Name,lastname",
        language="Preferred language,hs_language",
    ),
    _Tool(
        "Shopify",
        marks=(
            *("Financial Status,Lineitem quantity", "Accepts Email Marketing,Total Spent"),
            "financial_status,line_items",
        ),
        id="Customer ID,customer.id",
        own_id="Customer ID,id",
        time="Created at,processed_at,Paid at",
        type="Financial Status,Fulfillment Status",
        email="Email,contact_email,customer.email",
        phone="Phone,Billing Phone,Shipping Phone,customer.phone,Default Address Phone",
        first="First Name,customer.first_name,Billing Name",
        last="Last Name,customer.last_name",
    ),
)


def recognise(columns: Iterable[str], side: Literal["events", "contacts"]) -> Export | None:
    """The tool that most likely wrote these columns: that of which most of them are known."""
    have = {_plain(each) for each in columns}
    marked = [
        tool
        for tool in _TOOLS
        if any({_plain(each) for each in mark.split(",")} <= have for mark in tool.marks)
    ]
    found = [_export(tool, side) for tool in marked]
    return max(found, key=lambda each: len({name for _, name in each.ranks} & have), default=None)


@cache
def _export(tool: _Tool, side: Literal["events", "contacts"]) -> Export:
    return tool.export(side)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
