"""Each documented rule of a request, on both of its sides."""

from __future__ import annotations

from typing import Any

import pytest

from backfill.sandbox.contract import Pristo, endpoints, read_json
from tests.sandbox.requests import event, feedback, pristo

EVENTS, FEEDBACKS, PRISTO = endpoints()


@pytest.mark.parametrize(
    "body",
    [
        pristo(),
        pristo(contact__phone=None),
        pristo(contact__email=None),
        pristo(contact__id="0F3B2A52-6F0E-4F5E-8A8B-0A4A3C1F7E01"),
        pristo(occurredAt=None, customFields=None),
        pristo(occurredAt="2024-03-01T11:30:00+02:00"),
        pristo(customFields__amount="x" * 255),
        pristo(customFields__amount="😀" * 255),
        pristo(customFields={}),
    ],
)
def test_pristo_takes_what_is_documented(body):
    assert PRISTO.refuses(body, set()) is None


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (pristo(contact=None), "body"),
        (pristo(type=None), "body"),
        (pristo(type=7), "type"),
        (pristo(type=""), "type"),
        (pristo(extra="x"), "body"),
        (pristo(contact__id=None), "contact"),
        (pristo(contact__id="17"), "contact.id"),
        (pristo(contact__id="0f3b2a526f0e4f5e8a8b0a4a3c1f7e01"), "contact.id"),
        (pristo(contact__age="30"), "contact"),
        (pristo(contact__email="noa at example.com"), "contact.email"),
        (pristo(contact__language="en-US"), "contact.language"),
        (pristo(contact__language="EN"), "contact.language"),
        (pristo(contact__customFields__tier=3), "contact.customFields.tier"),
        (pristo(contact__customFields__tier="x" * 256), "contact.customFields.tier"),
        (pristo(customFields__amount=12.3), "customFields.amount"),
        (pristo(customFields__amount="x" * 256), "customFields.amount"),
        (pristo(customFields=["x"]), "customFields"),
        (pristo(occurredAt="2024-03-01 09:30:00Z"), "occurredAt"),
        (pristo(occurredAt="2024-03-01T09:30:00"), "occurredAt"),
        (pristo(occurredAt="2024-02-30T09:30:00Z"), "occurredAt"),
        (pristo(occurredAt=1709285400), "occurredAt"),
        ({**pristo(), "customFields": None}, "customFields"),
        ({**pristo(), "contact": {**pristo()["contact"], "name": None}}, "contact.name"),
        ([pristo()], "body"),
        ("text", "body"),
    ],
)
def test_pristo_refuses_what_is_not_and_says_where(body: Any, path: str):
    refusal = PRISTO.refuses(body, set())
    assert refusal is not None
    assert refusal.status == 400
    assert refusal.message.startswith(f"{path}: ")


def test_only_the_first_report_of_a_contact_needs_phone_or_email():
    bare = pristo(contact__phone=None, contact__email=None)
    refusal = PRISTO.refuses(bare, set())
    assert refusal is not None
    assert "phone or email" in refusal.message
    assert PRISTO.refuses(bare, {bare["contact"]["id"]}) is None


def test_an_empty_phone_makes_no_contact_reachable():
    assert PRISTO.refuses(pristo(contact__email=None, contact__phone=""), set()) is not None


@pytest.mark.parametrize("place", ["customFields__amount", "contact__customFields__tier"])
def test_the_prose_limit_of_custom_values_can_be_kept(place: str):
    strict = Pristo(custom_value_max=50)
    assert strict.refuses(pristo(**{place: "x" * 50}), set()) is None
    refusal = strict.refuses(pristo(**{place: "x" * 51}), set())
    assert refusal is not None
    assert place.replace("__", ".") in refusal.message


@pytest.mark.parametrize(
    "item",
    [
        event(),
        event(confidence="minimum"),
        event(target__value="+12"),
        event(target__value="+123456789012345"),
    ],
)
def test_watch_takes_documented_events(item):
    assert EVENTS.refuses({"events": [event(), item]}, set()) is None


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (event(target=None), "events.1"),
        (event(label=None), "events.1"),
        (event(label=""), "events.1.label"),
        (event(confidence=None), "events.1"),
        (event(confidence="High"), "events.1.confidence"),
        (event(target__value="12025550143"), "events.1.target"),
        (event(target__value="+02025550143"), "events.1.target"),
        (event(target__value="+1 2025550143"), "events.1.target"),
        (event(target__value="+1"), "events.1.target"),
        (event(target__value="+1234567890123456"), "events.1.target"),
        (event(target__value="+1202555014٣"), "events.1.target"),
        (event(target__value="+12025550143\n"), "events.1.target"),
        (event(target__type="phone"), "events.1.target.type"),
        (event(target={"type": "email_address", "value": "a@example.com"}), "events.1.target"),
        (event(target__value="a@example.com"), "events.1.target"),
        ("text", "events.1"),
        (None, "events.1"),
    ],
)
def test_watch_refuses_other_events_and_names_the_item(item: Any, path: str):
    refusal = EVENTS.refuses({"events": [event(), item]}, set())
    assert refusal is not None
    assert refusal.status == 400
    assert path in [each for each, _ in refusal.details]


def test_watch_takes_email_targets_only_where_told_to():
    lenient = endpoints(email_targets=True)[0]
    good = event(target={"type": "email_address", "value": "a@example.com"})
    assert lenient.refuses({"events": [good]}, set()) is None
    for bad in (
        event(target={"type": "email_address", "value": "+12025550143"}),
        event(target={"type": "phone_number", "value": "a@example.com"}),
    ):
        assert lenient.refuses({"events": [bad]}, set()) is not None


@pytest.mark.parametrize(("size", "taken"), [(0, False), (1, True), (100, True), (101, False)])
def test_watch_takes_1_to_100_items(size: int, taken: bool):
    assert (EVENTS.refuses({"events": [event()] * size}, set()) is None) is taken
    assert (FEEDBACKS.refuses({"feedbacks": [feedback()] * size}, set()) is None) is taken


@pytest.mark.parametrize("body", [{}, {"feedbacks": [event()]}, {"events": {}}, [], None])
def test_watch_needs_its_own_list(body: Any):
    assert EVENTS.refuses(body, set()) is not None


@pytest.mark.parametrize(
    ("item", "taken"),
    [
        (feedback(), True),
        (feedback(type="verification.completed"), True),
        (feedback(metadata=None), True),
        (feedback(metadata__correlation_id="é" * 80), True),
        (feedback(metadata__correlation_id="é" * 81), False),
        (feedback(metadata__correlation_id=8), False),
        ({**feedback(), "metadata": None}, False),
        (feedback(type="verification.failed"), False),
        (feedback(type=None), False),
    ],
)
def test_watch_feedbacks(item: Any, taken: bool):
    assert (FEEDBACKS.refuses({"feedbacks": [item]}, set()) is None) is taken


def test_a_body_with_countless_faults_gets_a_bounded_answer():
    refusal = EVENTS.refuses({"events": [event(label="x" * 9000, confidence="")] * 300}, set())
    assert refusal is not None
    assert len(refusal.details) <= 100
    assert all(len(message) <= 200 for _, message in refusal.details)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud83d"}',
        '{"a": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
    ],
)
def test_what_lenient_json_readers_let_pass_is_refused(body: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the JSON reader's own
        read_json(body)


def test_whole_surrogate_pairs_and_escapes_are_json():
    assert read_json(b'{"a": "\\ud83d\\ude00\\n"}') == {"a": "😀\n"}


def test_keys_are_the_contact_and_the_target():
    assert PRISTO.key(pristo(contact__id="0F3B2A52-6F0E-4F5E-8A8B-0A4A3C1F7E01")) == (
        "0f3b2a52-6f0e-4f5e-8a8b-0a4a3c1f7e01"
    )
    assert EVENTS.key(event()) == "+12025550143"
    assert EVENTS.key({"target": 7}) is None
    assert PRISTO.key([]) is None
