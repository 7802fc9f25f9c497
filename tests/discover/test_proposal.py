"""Names propose, values decide."""

from __future__ import annotations

import polars as pl
import pytest

from tests.discover.frames import EMAILS, IDS, PHONES, TIMES, contacts, events, proposed


def test_a_crm_export_is_matched_whole():
    proposal, fields = proposed("pristo-events", events(), contacts())
    assert fields == {
        "contact.id": "events.user_id",
        "contact.email": "contacts.email",
        "contact.phone": "contacts.mobile",
        "contact.language": "contacts.lang",
        "contact.name": "contacts.firstName",
        "contact.lastName": "contacts.surname",
        "type": "events.event",
    }
    assert proposal.time is not None
    assert proposal.time.name == "at"
    assert [each.name for each in proposal.unused] == ["amount", "plan"]


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("contact.email", "email", "e-mail"),
        ("contact.email", "email", "E_MAIL"),
        ("contact.email", "email", "Kontakt"),
        ("contact.phone", "mobile", "msisdn"),
        ("contact.phone", "mobile", "Tel"),
        ("contact.phone", "mobile", "whatever"),
        ("contact.language", "lang", "locale"),
        ("contact.name", "firstName", "given name"),
        ("contact.lastName", "surname", "LAST_NAME"),
    ],
)
def test_spellings_and_values_find_the_column(field, old, new):
    _, fields = proposed("pristo-events", events(), contacts().rename({old: new}))
    assert fields[field] == f"contacts.{new}"


def test_values_veto_a_name():
    """A column named `email` that holds phones is the phone."""
    _, fields = proposed("pristo-events", events(), contacts(email=PHONES, mobile=EMAILS))
    assert fields["contact.phone"] == "contacts.email"
    assert fields["contact.email"] == "contacts.mobile"


def test_an_id_of_the_event_is_not_the_contact():
    mine = events(user_id=None, id=IDS, email=EMAILS)
    proposal, fields = proposed("pristo-events", mine)
    assert fields["contact.id"] is None
    assert not proposal.namespace


def test_ids_that_are_no_uuids_need_a_namespace():
    numbers = [f"CUST-{number}" for number in range(20)] * 2
    proposal, fields = proposed("pristo-events", events(user_id=numbers, email=EMAILS))
    assert fields["contact.id"] == "events.user_id"
    assert proposal.namespace


def test_a_uuid_of_the_contacts_is_better_than_a_number_that_joins():
    mine = events(user_id=list(range(20)) * 2)
    theirs = contacts(id=range(40), uuid=IDS)
    proposal, fields = proposed("pristo-events", mine, theirs)
    assert proposal.join is not None
    assert fields["contact.id"] == "contacts.uuid"
    assert not proposal.namespace


def test_a_contact_that_cannot_be_reached_is_a_question():
    _, fields = proposed("pristo-events", events())
    assert fields["contact.phone"] is None
    assert "contact.email" not in fields


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        ({"at": None, "created_at": TIMES}, "created_at"),
        ({"updated_at": TIMES}, "at"),
        ({"at": None, "wann": TIMES}, "wann"),
        ({"at": None, "ts": range(1_700_000_000, 1_700_000_040)}, "ts"),
        ({"at": None, "amount": range(1_700_000_000, 1_700_000_040)}, None),
        ({"at": ["31/01/2024"] * 40}, "at"),
        ({"at": None, "wann": ["31.01.2024 10:00"] * 40}, "wann"),
        ({"at": ["31.01.2024"] * 40, "created_at": TIMES}, "created_at"),
        ({"at": ["31 Jan 2024"] * 40}, "at"),
        ({"at": ["31. Januar 2024"] * 40}, None),
    ],
)
def test_the_time_is_found_by_its_name_or_by_how_it_is_written(columns, time):
    proposal, _ = proposed("watch-events", events(phone=PHONES, **columns))
    assert (proposal.time.name if proposal.time else None) == time


def test_confidence_is_a_table_of_the_labels_without_an_answer():
    proposal, fields = proposed("watch-events", events(), contacts())
    assert fields == {
        "target.value": "contacts.mobile",
        "label": "events.event",
        "confidence": "events.event",
    }
    confidence = proposal.match("confidence")
    assert confidence is not None
    assert confidence.table == (("login", 20, None), ("purchase", 10, None), ("signup", 10, None))


def test_a_column_of_the_right_words_needs_no_table():
    _, fields = proposed("watch-events", events(phone=PHONES, trust=["high", "low"] * 20))
    assert fields["confidence"] == "events.trust"


def test_more_labels_than_a_table_holds_are_counted():
    labels = [f"label {number % 55}" for number in range(550)]
    mine = pl.DataFrame({"event": labels, "phone": (PHONES * 14)[:550]})
    proposal, _ = proposed("watch-events", mine)
    confidence = proposal.match("confidence")
    assert confidence is not None
    assert len(confidence.table) == 50
    assert confidence.more == 5


def test_words_that_are_valid_answer_themselves():
    words = ["verification.started", "approved", "denied", "expired"] * 10
    proposal, _ = proposed("watch-feedbacks", events(event=None, status=words, phone=PHONES))
    kind = proposal.match("type")
    assert kind is not None
    assert {value: sent for value, _, sent in kind.table} == {
        "verification.started": "verification.started",
        "approved": None,
        "denied": None,
        "expired": None,
    }


def test_nothing_at_all_leaves_every_required_field_open():
    proposal, fields = proposed("watch-events", pl.DataFrame({"a": [None], "b": [[1]]}))
    assert fields == {"target.value": None, "label": None, "confidence": None}
    assert [each.name for each in proposal.unused] == ["a", "b"]


@pytest.mark.parametrize(
    "name", ["Contact Phone Number", "Contact Email", "customer_since", "Member Name"]
)
def test_what_is_told_of_a_contact_is_not_its_id(name):
    values = {"Contact Phone Number": PHONES, "Contact Email": EMAILS, "customer_since": TIMES}
    column = values.get(name, ["Ada", "Grace"] * 20)
    _, fields = proposed("pristo-events", events(user_id=None, **{name: column}))
    assert fields["contact.id"] is None


@pytest.mark.parametrize("phone", [PHONES[:1] * 40, ["555-0100"] * 40])
def test_a_phone_that_everybody_shares_is_nobodys(phone):
    """As a company's own number is, in a column of an export."""
    for theirs in (None, contacts()):
        _, fields = proposed("pristo-events", events(phone=phone), theirs)
        assert fields.get("contact.phone") == ("contacts.mobile" if theirs is not None else None)
    _, fields = proposed("pristo-events", events(), contacts(mobile=phone))
    assert "contact.phone" not in fields
    _, fields = proposed("watch-events", events(phone=phone))
    assert fields["target.value"] is None


def test_a_phone_that_comes_back_with_its_contact_is_the_contacts():
    mine = events(user_id=IDS[:1] * 40, phone=PHONES[:1] * 40)
    _, fields = proposed("pristo-events", mine)
    assert fields["contact.phone"] == "events.phone"


def test_of_two_phones_the_one_that_most_people_have_is_taken():
    rare = [each if n % 3 == 0 else None for n, each in enumerate(PHONES)]
    _, fields = proposed("pristo-events", events(), contacts(phone=rare))
    assert fields["contact.phone"] == "contacts.mobile"


@pytest.mark.parametrize(("own", "others"), [("user", "driver"), ("buyer", "seller")])
def test_the_fuller_phone_of_somebody_else_is_not_taken(own, others):
    rare = [each if n % 3 else None for n, each in enumerate(PHONES)]
    columns = {f"{own}_phone": rare, f"{others}_phone": PHONES[::-1]}
    _, fields = proposed("watch-events", events(**columns))
    assert fields["target.value"] == f"events.{own}_phone"
    del columns[f"{own}_phone"]
    _, fields = proposed("watch-events", events(**columns))
    assert fields["target.value"] is None


def test_of_two_phones_that_may_both_be_somebody_elses_none_is_taken():
    columns = {"depot_phone": PHONES, "harbour_phone": PHONES[::-1]}
    _, fields = proposed("watch-events", events(**columns))
    assert fields["target.value"] is None
    _, fields = proposed("watch-events", events(depot_phone=PHONES))
    assert fields["target.value"] == "events.depot_phone"


@pytest.mark.parametrize("name", ["risk_level", "priority", "fraud_risk"])
def test_words_of_a_risk_are_no_confidence(name):
    mine = events(phone=PHONES, **{name: ["high", "low"] * 20})
    proposal, _ = proposed("watch-events", mine)
    match = proposal.match("confidence")
    assert match is None or match.column is None or match.column.name != name


def test_names_of_sellers_are_no_contacts():
    mine = events(**{"seller first name": ["Ada"] * 40, "first_name": ["Grace"] * 40})
    _, fields = proposed("pristo-events", mine)
    assert fields["contact.name"] == "events.first_name"


@pytest.mark.parametrize(("beside", "column"), [("surname", None), ("city", "events.Name")])
def test_a_bare_name_beside_a_last_name_is_a_persons(beside, column):
    columns = {"first_name": ["Ada", "Grace"] * 20, beside: ["Example", "Sample"] * 20}
    mine = events(event=None, Name=["Ada Example", "Grace Sample"] * 20, **columns)
    _, fields = proposed("pristo-events", mine)
    assert fields["type"] == column


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("lang", True),
        ("Language Code", True),
        ("customer_locale", True),
        ("browser language", True),
        ("lang_course", False),
        ("Video language", False),
        ("agent_language", False),
    ],
)
def test_the_language_of_something_else_is_no_contacts(name, taken):
    _, fields = proposed("pristo-events", events(**{name: ["en", "he"] * 20}))
    assert fields.get("contact.language") == (f"events.{name}" if taken else None)
