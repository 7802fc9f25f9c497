"""Exports of well-known tools, with the columns and values that these write."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from backfill.destinations import destination
from backfill.discover.columns import profile_columns
from backfill.discover.exports import recognise
from backfill.discover.nested import flattened
from backfill.discover.proposal import propose

NOW = datetime(2025, 1, 1, tzinfo=UTC)
ROWS, PEOPLE = 40, 9


def email(number: int) -> str:
    return f"person{number % PEOPLE}@example.com"


def phone(number: int) -> str:
    return f"+1202555010{number % PEOPLE}"


def day(number: int) -> str:
    return f"2023-03-{number % 28 + 1:02}"


def segment(n: int) -> dict[str, object]:
    return {
        "anonymousId": f"a{n}",
        "userId": f"u{n % PEOPLE}",
        "type": "track",
        "event": ["Order Completed", "Signed Up"][n % 2],
        "messageId": f"ajs-{n}",
        "timestamp": f"{day(n)}T10:00:00.123Z",
        "receivedAt": f"{day(n)}T10:00:01.123Z",
        "context": {"locale": "en-US", "traits": {"email": email(n), "phone": phone(n)}},
        "properties": {"revenue": 12.5},
    }


def segment_tracks(n: int) -> dict[str, object]:
    return {
        "id": f"ajs-{n}",
        "received_at": f"{day(n)} 10:00:01.123",
        "anonymous_id": f"a{n}",
        "user_id": f"u{n % PEOPLE}",
        "event": ["order_completed", "signed_up"][n % 2],
        "original_timestamp": f"{day(n)} 10:00:00.123",
        "timestamp": f"{day(n)} 10:00:00.123",
        "context_traits_email": email(n),
    }


def mixpanel(n: int) -> dict[str, object]:
    properties = {
        "time": 1672531200 + n * 1000,
        "distinct_id": f"user-{n % PEOPLE}",
        "$insert_id": f"x{n}",
        "$email": email(n),
        "mp_processing_time_ms": 1672531200000 + n,
    }
    return {"event": ["Sign Up", "Purchase"][n % 2], "properties": properties}


def mixpanel_people(n: int) -> dict[str, object]:
    properties = {"$email": email(n), "$phone": phone(n), "$first_name": "Ada", "$city": "Haifa"}
    return {"$distinct_id": f"user-{n}", "$properties": properties}


def amplitude(n: int) -> dict[str, object]:
    return {
        "$insert_id": f"i{n}",
        "amplitude_id": 10**9 + n % PEOPLE,
        "client_event_time": f"{day(n)} 10:00:00.123000",
        "device_id": f"d{n % PEOPLE}",
        "event_time": f"{day(n)} 10:00:00.123000",
        "event_type": ["login", "purchase"][n % 2],
        "user_properties": {"email": email(n), "phone": phone(n)},
        "language": "English",
        "user_id": f"u{n % PEOPLE}",
    }


def stripe_payments(n: int) -> dict[str, object]:
    return {
        "id": f"ch_{n}",
        "Created date (UTC)": f"{day(n)} 10:00",
        "Amount": "12.00",
        "Status": ["Paid", "Refunded"][n % 2],
        "Customer ID": f"cus_{n % PEOPLE}",
        "Customer Email": email(n),
    }


def stripe_customers(n: int) -> dict[str, object]:
    return {
        "id": f"cus_{n}",
        "Email": email(n),
        "Name": "Ada Example",
        "Created (UTC)": "2022-03-01 10:00",
        "Delinquent": "false",
    }


def stripe_events(n: int) -> dict[str, object]:
    details = {"email": email(n), "name": "Ada Example", "phone": phone(n)}
    return {
        "id": f"evt_{n}",
        "object": "event",
        "created": 1672531200 + n * 1000,
        "data": {
            "object": {"id": f"ch_{n}", "customer": f"cus_{n % 9}", "billing_details": details}
        },
        "livemode": True,
        "type": ["charge.succeeded", "charge.refunded"][n % 2],
    }


def salesforce_tasks(n: int) -> dict[str, object]:
    return {
        "Id": f"00T1t00000XyZ{n:02}AAA",
        "WhoId": f"0031t00000AbCd{n % PEOPLE}AAA",
        "Subject": ["Call", "Email"][n % 2],
        "ActivityDate": day(n),
        "Status": "Completed",
        "TaskSubtype": ["Call", "Email"][n % 2],
        "CreatedDate": f"{day(n)}T10:00:00.000+0000",
        "OwnerId": "0051t000001AAA",
    }


def salesforce_contacts(n: int) -> dict[str, object]:
    return {
        "Id": f"0031t00000AbCd{n}AAA",
        "FirstName": "Ada",
        "LastName": "Example",
        "Email": email(n),
        "Phone": "(202) 555-0100",
        "MobilePhone": phone(n),
        "CreatedDate": "2022-01-01T10:00:00.000+0000",
        "OwnerId": "0051t000001AAA",
    }


def hubspot_calls(n: int) -> dict[str, object]:
    return {
        "Record ID": str(5000 + n),
        "Activity date": f"{day(n)} 10:00",
        "Activity type": ["Intro", "Follow up"][n % 2],
        "Create Date": f"{day(n)} 10:01",
        "Associated Contact IDs": str(101 + n % PEOPLE),
    }


def hubspot_contacts(n: int) -> dict[str, object]:
    return {
        "Record ID": str(101 + n),
        "First Name": "Ada",
        "Last Name": "Example",
        "Email": email(n),
        "Phone Number": phone(n),
        "Create Date": "2022-03-01 10:00",
        "Lifecycle Stage": "Customer",
        "Preferred language": "en",
    }


def shopify_orders(n: int) -> dict[str, object]:
    return {
        "Name": f"#{1001 + n}",
        "Email": email(n),
        "Financial Status": ["paid", "refunded"][n % 2],
        "Paid at": f"{day(n)} 10:00:05 +0200",
        "Created at": f"{day(n)} 10:00:00 +0200",
        "Lineitem quantity": "1",
        "Billing Name": "Ada Example",
        "Phone": phone(n),
        "Id": str(5000000000000 + n),
    }


def shopify_customers(n: int) -> dict[str, object]:
    return {
        "Customer ID": str(6000000000000 + n),
        "First Name": "Ada",
        "Last Name": "Example",
        "Email": email(n),
        "Accepts Email Marketing": "yes",
        "Phone": phone(n),
        "Total Spent": "12.00",
    }


@pytest.mark.parametrize(
    ("tool", "row", "person", "expected"),
    [
        (
            "Segment",
            segment,
            None,
            "userId context.traits.email context.traits.phone event timestamp",
        ),
        ("Segment", segment_tracks, None, "user_id context_traits_email - event timestamp"),
        (
            "Mixpanel",
            mixpanel,
            mixpanel_people,
            "properties.distinct_id $properties.$email $properties.$phone event properties.time",
        ),
        (
            "Amplitude",
            amplitude,
            None,
            "user_id user_properties.email user_properties.phone event_type event_time",
        ),
        (
            "Stripe",
            stripe_payments,
            stripe_customers,
            "Customer_ID Customer_Email - Status Created_date_(UTC)",
        ),
        (
            "Stripe",
            stripe_events,
            None,
            "data.object.customer data.object.billing_details.email"
            " data.object.billing_details.phone type created",
        ),
        (
            "Salesforce",
            salesforce_tasks,
            salesforce_contacts,
            "WhoId Email MobilePhone TaskSubtype CreatedDate",
        ),
        (
            "HubSpot",
            hubspot_calls,
            hubspot_contacts,
            "Associated_Contact_IDs Email Phone_Number Activity_type Activity_date",
        ),
        ("Shopify", shopify_orders, None, "- Email Phone Financial_Status Created_at"),
        (
            "Shopify",
            shopify_orders,
            shopify_customers,
            "Email Email Phone Financial_Status Created_at",
        ),
    ],
)
def test_a_tools_export_is_matched_by_its_columns(tool, row, person, expected):
    """The contact's id, email and phone, the event's type and time."""
    events = flattened(pl.DataFrame([row(n) for n in range(ROWS)]))
    contacts = flattened(pl.DataFrame([person(n) for n in range(PEOPLE)])) if person else None
    profiles = profile_columns(events, "events", now=NOW)
    others = profile_columns(contacts, "contacts", now=NOW) if contacts is not None else None
    proposal = propose(destination("pristo-events"), profiles, others, whole=True)
    export = profiles[0].export
    assert export is not None
    assert export.tool == tool
    fields = ("contact.id", "contact.email", "contact.phone", "type")
    found = [match.column if (match := proposal.match(name)) else None for name in fields]
    names = [each.name.replace(" ", "_") if each else "-" for each in [*found, proposal.time]]
    assert " ".join(names) == expected


def test_columns_that_any_file_has_are_no_tools():
    assert recognise(["id", "created_at", "email", "phone", "type"], "events") is None
    assert recognise([], "contacts") is None


def test_names_that_say_something_else_in_an_export_are_not_believed():
    events = pl.DataFrame([shopify_orders(n) for n in range(ROWS)])
    profiles = profile_columns(events, "events", now=NOW)
    match = propose(destination("pristo-events"), profiles).match("contact.name")
    assert match is not None
    assert match.column is not None
    assert match.column.name == "Billing Name"
