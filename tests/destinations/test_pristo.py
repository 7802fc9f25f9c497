"""Pristo: every cell of the verdict table, and the result inside a 201."""

from __future__ import annotations

import json

import pytest

from backfill.core.model import Fault, Flow, Reply, Verdict
from backfill.core.secret import Secret
from backfill.destination import Kind
from backfill.destinations import destination
from tests.destinations.cells import check_cell

API = destination("pristo-events")


def envelope(**changes: object) -> bytes:
    content = {"ok": True, "status": 201, "statusText": "Created", "body": None, "raw": ""}
    return json.dumps({**content, **changes}).encode()


ERROR = b'{"error":{"code":"some_code","message":"Some words."}}'
BODIES = {
    "a gateway's error": b'{"message": "Service Unavailable"}',
    "no message": b'{"error": {"code": "some_code"}}',
    "empty": b"",
    "html": b"<html><body>Bad\n gateway</body></html>",
    "huge": b"x" * 70_000,
    "wrong json": b'{"error": {"code"',
    "list": b"[1, 2]",
    "flat": b'{"code":"flat_code","message":"Flat words."}',
    "odd error": b'{"error":"text"}',
    "wrong encoding": "ünlesbar".encode("latin-1"),
}
STATUSES = {
    Flow.UNKNOWN: [200, 202, 204, 206, 299],
    Flow.STOP: [300, 301, 302, 303, 304, 307, 308, 399, 401, 402, 403, 404, 405],
    Flow.FAILED: [400, 409, 422, 413, 406, 410, 415, 418, 428, 431, 451, 499],
    Flow.AGAIN: [408, 429],
    Flow.AMBIGUOUS: [100, 199, 500, 501, 502, 503, 504, 505, 520, 599, 600],
}
CELLS = [(flow, status) for flow, statuses in STATUSES.items() for status in statuses]


def test_delivered_only_on_201_with_ok_true():
    assert API.verdict(Reply(201, {}, envelope()), 1) == Verdict(Flow.DELIVERED, http_status=201)


def test_the_inner_status_is_recorded_and_not_trusted():
    verdict = API.verdict(Reply(201, {}, envelope(status=500)), 1)
    assert verdict.flow is Flow.DELIVERED
    assert verdict.reason == "application status: 500"
    for inner in (200, None, [500]):
        assert API.verdict(Reply(201, {}, envelope(status=inner)), 1).reason == ""


@pytest.mark.parametrize("inner", [429, 503])
def test_ok_false_with_an_inner_throttle_is_sent_again(inner):
    body = envelope(ok=False, status=inner, statusText="Slow down")
    verdict = API.verdict(Reply(201, {"retry-after": "3"}, body), 1)
    assert verdict == Verdict(
        Flow.AGAIN,
        reason=f"{inner}: Slow down",
        http_status=201,
        retry_after=3.0,
        throttled=True,
    )


@pytest.mark.parametrize("inner", [400, 404, 500, 200, 201, None, "429", [429]])
def test_any_other_ok_false_fails_the_record_with_its_words(inner):
    verdict = API.verdict(Reply(201, {}, envelope(ok=False, status=inner, statusText="No")), 1)
    assert verdict.flow is Flow.FAILED
    assert verdict.reason.endswith("No")


@pytest.mark.parametrize("ok", [None, "true", 1, 0, "false", [], {}])
def test_ok_that_is_no_truth_value_is_unknown(ok):
    assert API.verdict(Reply(201, {}, envelope(ok=ok)), 1).flow is Flow.UNKNOWN


@pytest.mark.parametrize("body", [*BODIES.values(), b"{}"])
def test_a_201_that_cannot_be_read_is_unknown(body):
    verdict = API.verdict(Reply(201, {}, body), 1)
    assert verdict.flow is Flow.UNKNOWN
    assert verdict.reason


@pytest.mark.parametrize(("flow", "status"), CELLS)
def test_every_status_has_its_verdict_whatever_the_body(flow, status):
    check_cell(API, status, flow, {**BODIES, "success": envelope()}, records=1)


@pytest.mark.parametrize(
    ("flow", "status"), [cell for cell in CELLS if cell[1] != 503] + [(Flow.AGAIN, 503)]
)
def test_an_error_of_the_apis_own_changes_only_a_503(flow, status):
    verdict = API.verdict(Reply(status, {}, ERROR), 1)
    assert verdict.flow is flow
    assert verdict.throttled is (status in (429, 503))


@pytest.mark.parametrize("body", [*BODIES.values(), ERROR, envelope()])
@pytest.mark.parametrize("headers", [{"retry-after": "0"}, {"retry-after-ms": "20"}], ids=str)
def test_a_503_that_says_when_to_come_back_did_nothing(body, headers):
    verdict = API.verdict(Reply(503, headers, body), 1)
    assert (verdict.flow, verdict.throttled) == (Flow.AGAIN, True)


def test_a_503_whose_wait_cannot_be_read_may_be_a_proxys():
    assert API.verdict(Reply(503, {"retry-after": "soon"}), 1).flow is Flow.AMBIGUOUS


def test_the_servers_nested_words_are_kept():
    assert API.verdict(Reply(400, {}, ERROR), 1).reason == "some_code: Some words."
    assert API.verdict(Reply(400, {}, BODIES["flat"]), 1).reason == "flat_code: Flat words."


@pytest.mark.parametrize("status", [401, 404])
def test_swapped_ids_are_suspected(status):
    reason = API.verdict(Reply(status, {}, ERROR), 1).reason
    assert reason.startswith("some_code: Some words.")
    assert "PRISTO_API_KEY are both UUIDs" in reason
    assert "both UUIDs" not in API.verdict(Reply(403, {}, ERROR), 1).reason


@pytest.mark.parametrize("fault", list(Fault))
def test_faults_are_ambiguous_once_the_server_was_reached(fault):
    flow = Flow.AMBIGUOUS if fault.reached else Flow.AGAIN
    assert API.verdict(fault, 1) == Verdict(flow, reason=fault.value)


def test_requests_are_what_the_api_documents():
    assert API.path("some-population") == "/v1/events/send/some-population"
    assert API.headers(Secret("key")) == {
        "X-API-Key": "key",
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    assert API.request_headers("id") == {"X-Request-Id": "id"}
    assert API.body([b"{}"]) == b"{}"


def test_fields_are_those_that_the_api_documents():
    assert [(each.name, each.kind, each.required) for each in API.fields] == [
        ("contact.id", Kind.UUID, True),
        ("contact.email", Kind.EMAIL, False),
        ("contact.phone", Kind.PHONE, False),
        ("contact.language", Kind.LANGUAGE, False),
        ("contact.name", Kind.TEXT, False),
        ("contact.lastName", Kind.TEXT, False),
        ("contact.customFields.*", Kind.CUSTOM, False),
        ("type", Kind.EVENT_TYPE, True),
        ("occurredAt", Kind.TIME, True),
        ("customFields.*", Kind.CUSTOM, False),
    ]
    assert API.batch_size == 1
    assert API.request_id_of("id") == "id"


def test_a_success_in_the_same_words_is_the_same_verdict_and_other_words_are_not():
    first = API.verdict(Reply(201, {"date": "today"}, envelope()), 1)
    assert API.verdict(Reply(201, {"date": "tomorrow"}, envelope()), 1) is first
    assert API.verdict(Reply(201, {}, envelope(ok=False)), 1).flow is Flow.FAILED
    assert API.verdict(Reply(200, {}, envelope()), 1).flow is Flow.UNKNOWN
    assert API.verdict(Reply(500, {}, envelope()), 1).flow is Flow.AMBIGUOUS
