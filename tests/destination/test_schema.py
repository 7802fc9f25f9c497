"""The schema that the fields make takes what the API's own schema takes, and no less strictly."""

from __future__ import annotations

import jsonschema_rs
import pytest

from backfill.destinations import destination
from tests.sandbox.requests import event, feedback, pristo

GOOD = {
    "pristo-events": pristo(),
    "watch-events": event(),
    "watch-feedbacks": feedback(),
}


def takes(name: str, record: object) -> bool:
    schema = destination(name).schema()
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(record)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_record_is_taken_and_nothing_may_be_added(name):
    assert takes(name, GOOD[name])
    assert not takes(name, {**GOOD[name], "shoe": "9"})


@pytest.mark.parametrize(
    "contact",
    [
        {},
        {"id": "7", "email": "a@example.com"},
        {"id": "5d6d9c0e-0000-4000-8000-000000000001"},
        {"id": "5d6d9c0e-0000-4000-8000-000000000001", "email": "no address"},
        {"id": "5d6d9c0e-0000-4000-8000-000000000001", "phone": "054"},
        {"id": "5d6d9c0e-0000-4000-8000-000000000001", "phone": "+12025550143", "language": "eng"},
        {
            "id": "5d6d9c0e-0000-4000-8000-000000000001",
            "phone": "+12025550143",
            "customFields": {"long": "x" * 51},
        },
    ],
)
def test_each_kind_and_each_check_is_in_it(contact):
    assert not takes("pristo-events", {**GOOD["pristo-events"], "contact": contact})


def test_a_target_is_what_its_type_says():
    for target, right in (
        ({"type": "phone_number", "value": "+12025550143"}, True),
        ({"type": "phone_number", "value": "a@example.com"}, False),
        ({"type": "email_address", "value": "a@example.com"}, True),
        ({"type": "email_address", "value": "+12025550143"}, False),
        ({"type": "pager", "value": "+12025550143"}, False),
    ):
        assert takes("watch-events", {**GOOD["watch-events"], "target": target}) is right
