"""What all destinations read in a reply: words, waits, JSON; whatever the bytes are."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Fault, Flow, Reply, Verdict
from backfill.destination import fault_verdict, id_of, json_object, text_of, waits
from backfill.destinations import builtin_destinations

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:50:37 GMT"
EPOCH = 784111777.0

AMBIGUOUS_FAULTS = {Fault.TIMEOUT, Fault.DISCONNECTED, Fault.BROKEN_REPLY}


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_is_sent_again_only_where_the_server_was_never_reached(fault):
    expected = Flow.AMBIGUOUS if fault in AMBIGUOUS_FAULTS else Flow.AGAIN
    assert fault_verdict(fault) == Verdict(expected, reason=fault.value)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (None, None)),
        ({"retry-after": "120"}, (120.0, None)),
        ({"retry-after": "0"}, (0.0, None)),
        ({"retry-after": " 1.5 "}, (1.5, None)),
        ({"retry-after": "9" * 400}, (10 * 365 * 86400.0, None)),
        ({"retry-after": "inf"}, (None, None)),
        ({"retry-after-ms": "250"}, (0.25, None)),
        ({"retry-after-ms": "250", "retry-after": "9"}, (9.0, None)),
        ({"retry-after-ms": "9500, 20", "retry-after": "9"}, (9.5, None)),
        ({"retry-after": "4, 0"}, (4.0, None)),
        ({"retry-after": "0, 4"}, (4.0, None)),
        ({"retry-after": "soon, 4, , -1"}, (4.0, None)),
        ({"retry-after": f"{DATE}, 120"}, (120.0, EPOCH)),
        ({"retry-after": f"120, {DATE}"}, (120.0, EPOCH)),
        ({"retry-after": f"{DATE}, {LATER}"}, (None, EPOCH + 60)),
        ({"retry-after": f"Sun Nov  6 08:49:37 1994, 7,{LATER}"}, (7.0, EPOCH + 60)),
        ({"retry-after": f"7, {LATER}", "date": DATE}, (60.0, None)),
        ({"retry-after": f"70, {LATER}", "date": DATE}, (70.0, None)),
        ({"retry-after": LATER, "date": f"{LATER}, {DATE}"}, (60.0, None)),
        ({"retry-after-ms": "soon", "retry-after": "9"}, (9.0, None)),
        ({"retry-after": DATE}, (None, EPOCH)),
        ({"retry-after": "Sunday, 06-Nov-94 08:49:37 GMT"}, (None, EPOCH)),
        ({"retry-after": "Sun Nov  6 08:49:37 1994"}, (None, EPOCH)),
        ({"retry-after": DATE, "date": "Sun, 06 Nov 1994 08:49:07 GMT"}, (30.0, None)),
        ({"retry-after": DATE, "date": "Sun, 06 Nov 1994 09:00:00 GMT"}, (0.0, None)),
        ({"retry-after": DATE, "date": "yesterday"}, (None, EPOCH)),
        ({"retry-after": "-5"}, (None, None)),
        ({"retry-after": "nan"}, (None, None)),
        ({"retry-after": ""}, (None, None)),
        ({"retry-after": "soon"}, (None, None)),
        ({"retry-after": "Sun, 99 Nov 1994 08:49:37 GMT"}, (None, None)),
        ({"retry-after": "1e300"}, (315360000.0, None)),
    ],
)
def test_a_wait_is_read_in_every_form_and_never_from_nonsense(headers, expected):
    assert waits(headers) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        ('{"a": "é"}'.encode(), {"a": "é"}),
        ('{"a": "é"}'.encode("utf-8-sig"), {"a": "é"}),
        ('{"a": "é"}'.encode("utf-16"), None),  # nobody has redacted it
        ('{"a": "b"}'.encode("utf-16-le"), None),
        ('{"a": "b"}'.encode("utf-32-be"), None),
        (b"", None),
        (b"[]", None),
        (b'"text"', None),
        (b'{"a": ', None),
        (b"<html>", None),
        (b"\xff\xfe\xff", None),
        (b"[" * 100_000, None),
        (b'{"a": ' + b"9" * 10_000 + b"}", None),
        (b'{"a": 1}'.ljust(64 * 1024 - 1), {"a": 1}),
        (b'{"a": 1}'.ljust(64 * 1024), None),  # more may have come
    ],
)
def test_only_a_json_object_is_one(body, expected):
    assert json_object(body) == expected


def test_words_are_one_printable_line_of_bounded_length():
    assert text_of("code", None, "", "two\n words", 7, ["no"], {"no": 1}) == "code: two words: 7"
    assert text_of("\x1b[31mred\x00\ud800") == "\ufffd[31mred\ufffd\ufffd"
    assert text_of("é\u05d0漢") == "é\u05d0漢"
    assert len(text_of("x" * 10_000)) == 500


def test_an_id_is_a_text():
    assert id_of("abc") == "abc"
    assert id_of("a" * 300) == "a" * 200
    assert id_of("\ud800") == "\ufffd"
    assert [id_of(value) for value in ("", None, 7, ["a"])] == [None] * 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "ok",
                    "status",
                    "statusText",
                    "error",
                    "code",
                    "message",
                    "details",
                    "path",
                    "request_id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "date", "location"]),
        st.text(max_size=12),
    ),
    size=st.integers(1, 100),
)
def test_no_reply_makes_a_verdict_raise_or_hold_what_cannot_be_stored(status, body, headers, size):
    for each in builtin_destinations().values():
        verdict = each.verdict(Reply(status, headers, body), size)
        verdict.reason.encode("utf-8")
        assert len(verdict.reason) <= 500 + 100
        assert all(0 <= index < size for index in verdict.bad)
        if verdict.flow is Flow.DELIVERED:
            assert status in (200, 201)


def test_a_deeply_nested_reply_does_no_harm():
    deep = b'{"ok": false, "statusText": ' + b"[" * 900 + b"]" * 900 + b"}"
    for each in builtin_destinations().values():
        assert each.verdict(Reply(201, {}, deep), 1).flow in (Flow.FAILED, Flow.UNKNOWN)
