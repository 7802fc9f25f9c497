"""Records are found where a destination's body puts them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from backfill.destination.bodies import items_of


def alone(items: Sequence[bytes]) -> bytes:
    return items[0]


def wrapped(items: Sequence[bytes]) -> bytes:
    return b'{"source":"backfill","data":{"visits":[%s]}}' % b",".join(items)


def listed(items: Sequence[bytes]) -> bytes:
    return b"[%s]" % b",".join(items)


@pytest.mark.parametrize(
    ("make", "batch", "count"),
    [
        (alone, 1, 1),
        (wrapped, 1, 1),
        (listed, 1, 1),
        (wrapped, 9, 1),
        (wrapped, 9, 9),
        (listed, 2, 2),
    ],
)
def test_what_was_put_in_is_found(make, batch, count):
    records = [{"a": number, "visits": [1]} for number in range(count)]
    body = make([json.dumps(each).encode() for each in records])
    assert items_of(make, batch, body) == records


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"data": {}}', "no records at data.visits"),
        (b"[]", "no records at data.visits"),
        (b'{"data": {"visits": 7}}', "no list of records at data.visits"),
        (b"{", "Expecting"),
    ],
)
def test_a_body_of_another_form_is_no_body(body, words):
    with pytest.raises(ValueError, match=words):
        items_of(wrapped, 9, body)


def test_records_that_are_not_put_in_whole_are_told():
    with pytest.raises(ValueError, match="bring `items`"):
        items_of(lambda items: b'{"count":%d}' % len(items), 9, b"{}")
