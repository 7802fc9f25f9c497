"""Exports of well-known tools, with the columns and values that these write."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import polars as pl
import pytest

from backfill.destinations import destination
from backfill.discover.columns import profile_columns
from backfill.discover.names.exports import recognise
from backfill.discover.nested import flattened
from backfill.discover.proposal import propose
from tests.discover.test_writing import written

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
        ("Shopify", shopify_orders, None, "Email Email Phone Financial_Status Created_at"),
        (
            "Shopify",
            shopify_orders,
            shopify_customers,
            "Customer_ID Email Phone Financial_Status Created_at",
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


def stripe_customer_objects(n: int) -> dict[str, object]:
    return {
        "id": f"cus_{n}",
        "object": "customer",
        "created": 1672531200 + n,
        "delinquent": False,
        "email": email(n),
        "livemode": True,
        "phone": phone(n),
    }


def segment_users(n: int) -> dict[str, object]:
    return {
        "id": f"u{n}",
        "received_at": f"{day(n)} 10:00:01",
        "uuid_ts": f"{day(n)} 10:00:05",
        "email": email(n),
        "phone": phone(n),
    }


def mixpanel_people_csv(n: int) -> dict[str, object]:
    return {
        "$distinct_id": f"u{n}",
        "$email": email(n),
        "$phone": phone(n),
        "$last_seen": f"{day(n)}T10:00:00",
    }


def amplitude_users(n: int) -> dict[str, object]:
    return {
        "amplitude_id": str(10**9 + n),
        "user_id": f"u{n}",
        "last_seen": f"{day(n)} 10:00:00",
        "gp:email": email(n),
        "gp:phone": phone(n),
    }


def salesforce_report(n: int) -> dict[str, object]:
    return {
        "Contact ID": f"0031t00000AbCd{n}",
        "First Name": "Ada",
        "Last Name": "Example",
        "Email": email(n),
        "Mobile": phone(n),
        "Created Date": f"3/{n + 13}/2023",
    }


def hubspot_objects(n: int) -> dict[str, object]:
    properties = {
        "createdate": f"{day(n)}T10:00:00.123Z",
        "email": email(n),
        "firstname": "Ada",
        "hs_object_id": str(101 + n),
        "phone": phone(n),
    }
    return {"id": str(101 + n), "properties": properties, "archived": False}


def shopify_customer_objects(n: int) -> dict[str, object]:
    return {
        "id": 6000000000000 + n,
        "email": email(n),
        "created_at": f"{day(n)}T10:00:00+02:00",
        "first_name": "Ada",
        "orders_count": 1,
        "total_spent": "12.00",
        "phone": phone(n),
    }


@pytest.mark.parametrize(
    ("tool", "row", "expected"),
    [
        ("Segment", segment_users, "id email phone received_at"),
        ("Mixpanel", mixpanel_people_csv, "$distinct_id $email $phone $last_seen"),
        ("Amplitude", amplitude_users, "user_id gp:email gp:phone last_seen"),
        ("Stripe", stripe_customers, "id Email - Created_(UTC)"),
        ("Stripe", stripe_customer_objects, "id email phone created"),
        ("Salesforce", salesforce_contacts, "Id Email MobilePhone CreatedDate"),
        ("Salesforce", salesforce_report, "Contact_ID Email Mobile Created_Date"),
        ("HubSpot", hubspot_contacts, "Record_ID Email Phone_Number Create_Date"),
        (
            "HubSpot",
            hubspot_objects,
            "properties.hs_object_id properties.email properties.phone properties.createdate",
        ),
        ("Shopify", shopify_customers, "Customer_ID Email Phone -"),
        ("Shopify", shopify_customer_objects, "id email phone created_at"),
    ],
)
@pytest.mark.parametrize("side", ["events", "contacts"])
def test_a_list_of_people_is_known_by_its_own_id_on_either_side(tool, row, side, expected):
    frame = flattened(pl.DataFrame([row(n) for n in range(PEOPLE)]))
    profiles = profile_columns(frame, side, now=NOW)
    export = profiles[0].export
    assert export is not None
    assert (export.tool, export.people) == (tool, True)
    own, *_ = expected.split()
    best = max(profiles, key=lambda each: each.named("contact.id", ()))
    assert best.name.replace(" ", "_") == own
    if side == "contacts":
        return
    proposal = propose(destination("pristo-events"), profiles)
    fields = ("contact.id", "contact.email", "contact.phone")
    found = [match.column if (match := proposal.match(name)) else None for name in fields]
    names = [each.name.replace(" ", "_") if each else "-" for each in [*found, proposal.time]]
    assert " ".join(names) == expected


def shopify_order_objects(n: int) -> dict[str, object]:
    return {
        "id": 5000000000000 + n,
        "created_at": f"{day(n)}T10:00:00+02:00",
        "financial_status": ["paid", "refunded"][n % 2],
        "customer": {"id": 6000000000000 + n % PEOPLE, "email": email(n), "phone": phone(n)},
        "line_items": [{"id": n, "sku": "a"}],
    }


def hubspot_deals(n: int) -> dict[str, object]:
    return {
        "Record ID": str(5000 + n),
        "Deal Name": f"Deal {n}",
        "Deal Stage": ["Won", "Lost"][n % 2],
        "Create Date": f"{day(n)} 10:00",
        "Associated Contact IDs": str(101 + n % PEOPLE),
    }


def hubspot_events(n: int) -> dict[str, object]:
    return {
        "objectType": "CONTACT",
        "objectId": str(101 + n % PEOPLE),
        "eventType": ["e_visited_page", "e_opened"][n % 2],
        "occurredAt": f"{day(n)}T10:00:00.123Z",
        "id": f"e{n}",
    }


def mixpanel_rows(n: int) -> dict[str, object]:
    return {
        "event_name": ["Sign Up", "Purchase"][n % 2],
        "time": 1672531200 + n * 1000,
        "distinct_id": f"user-{n % PEOPLE}",
        "properties": f'{{"$email": "{email(n)}"}}',
    }


def amplitude_rows(n: int) -> dict[str, object]:
    return {
        "USER_ID": f"u{n % PEOPLE}",
        "EVENT_TYPE": ["login", "purchase"][n % 2],
        "EVENT_TIME": f"{day(n)} 10:00:00.123",
        "USER_PROPERTIES": f'{{"email": "{email(n)}"}}',
    }


def stripe_invoices(n: int) -> dict[str, object]:
    return {
        "id": f"in_{n}",
        "Customer": f"cus_{n % PEOPLE}",
        "Date (UTC)": f"{day(n)} 10:00",
        "Status": ["paid", "open"][n % 2],
        "Customer Email": email(n),
    }


@pytest.mark.parametrize(
    ("tool", "row", "expected"),
    [
        ("Shopify", shopify_order_objects, "customer.id financial_status created_at"),
        ("HubSpot", hubspot_deals, "Associated_Contact_IDs Deal_Stage Create_Date"),
        ("HubSpot", hubspot_events, "objectId eventType occurredAt"),
        ("Mixpanel", mixpanel_rows, "distinct_id event_name time"),
        ("Amplitude", amplitude_rows, "USER_ID EVENT_TYPE EVENT_TIME"),
        ("Stripe", stripe_invoices, "Customer Status Date_(UTC)"),
    ],
)
def test_what_happened_names_its_contact(tool, row, expected):
    frame = flattened(pl.DataFrame([row(n) for n in range(ROWS)]))
    profiles = profile_columns(frame, "events", now=NOW)
    assert profiles[0].export is not None
    assert (profiles[0].export.tool, profiles[0].export.people) == (tool, False)
    proposal = propose(destination("pristo-events"), profiles)
    found = [match.column if (match := proposal.match(name)) else None
             for name in ("contact.id", "type")]  # fmt: skip
    names = [each.name.replace(" ", "_") if each else "-" for each in [*found, proposal.time]]
    assert " ".join(names) == expected


def test_times_of_a_report_are_not_taken_for_utc():
    """Salesforce exports its fields in UTC, and a report's columns in the reader's own zone."""

    def zone(row):
        profiles = profile_columns(pl.DataFrame([row(n) for n in range(9)]), "events", now=NOW)
        text = written(propose(destination("pristo-events"), profiles))
        return tomllib.loads(text)["events"].get("timezone")

    assert zone(salesforce_report) == "?"
    assert zone(lambda n: {**salesforce_contacts(n), "CreatedDate": f"{day(n)} 10:00:00"}) == "UTC"


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
