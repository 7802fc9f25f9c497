"""Prelude Watch: every cell of the verdict table, and how bad items are named."""

from __future__ import annotations

import json

import pytest

from backfill.core.model import Fault, Flow, Reply, Verdict
from backfill.core.secret import Secret
from backfill.destination import Kind
from backfill.destinations import destination
from tests.destinations.cells import check_cell

EVENTS, FEEDBACKS = destination("watch-events"), destination("watch-feedbacks")
BOTH = pytest.mark.parametrize("api", [EVENTS, FEEDBACKS], ids=lambda each: each.name)

SUCCESS = b'{"status":"success","request_id":"r-1"}'
ERROR = json.dumps(
    {"code": "some_code", "message": "Some words.", "type": "bad_request", "request_id": "r-2"}
).encode()
BODIES = {
    "a gateway's error": b'{"code": 503, "message": "Service Unavailable"}',
    "no type": b'{"code": "some_code", "message": "Some words."}',
    "nested": b'{"error": {"code": "some_code", "message": "Some words."}}',
    "empty": b"",
    "html": b"<html><body>Bad\n gateway</body></html>",
    "huge": b"x" * 70_000,
    "wrong json": b'{"code": "some',
    "list": b"[1, 2]",
    "wrong encoding": "ünlesbar".encode("latin-1"),
}

STATUSES = {
    Flow.UNKNOWN: [201, 202, 204, 206, 299],
    Flow.STOP: [300, 301, 302, 303, 304, 307, 308, 399, 401, 402, 403, 404, 405],
    Flow.ISOLATE: [400, 409, 422, 406, 410, 415, 418, 428, 431, 451, 499],
    Flow.AGAIN: [408, 429],
    Flow.SPLIT: [413],
    Flow.AMBIGUOUS: [100, 199, 500, 501, 502, 503, 504, 505, 520, 599, 600],
}
CELLS = [(flow, status) for flow, statuses in STATUSES.items() for status in statuses]


@BOTH
def test_delivered_only_on_200_with_status_success(api):
    assert api.verdict(Reply(200, {}, SUCCESS), 100) == Verdict(
        Flow.DELIVERED, http_status=200, request_id="r-1"
    )


@BOTH
def test_delivered_without_a_request_id(api):
    assert api.verdict(Reply(200, {}, b'{"status":"success"}'), 1).flow is Flow.DELIVERED


@BOTH
@pytest.mark.parametrize(
    "body",
    [*BODIES.values(), b'{"status":"Success"}', b'{"status":true}', b'{"status":"queued"}', b"{}"],
)
def test_a_200_that_does_not_say_success_is_unknown(api, body):
    verdict = api.verdict(Reply(200, {}, body), 3)
    assert verdict.flow is Flow.UNKNOWN
    assert verdict.reason
    assert verdict.http_status == 200


@BOTH
@pytest.mark.parametrize(("flow", "status"), CELLS)
def test_every_status_has_its_verdict_whatever_the_body(api, flow, status):
    check_cell(api, status, flow, {**BODIES, "success": SUCCESS}, records=3)


@BOTH
@pytest.mark.parametrize(
    ("flow", "status"), [cell for cell in CELLS if cell[1] != 503] + [(Flow.AGAIN, 503)]
)
def test_an_error_of_the_apis_own_changes_only_a_503(api, flow, status):
    verdict = api.verdict(Reply(status, {}, ERROR), 3)
    assert verdict.flow is flow
    assert verdict.throttled is (status in (429, 503))


@BOTH
@pytest.mark.parametrize("body", [*BODIES.values(), ERROR, SUCCESS])
@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "0"},
        {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"},
        {"retry-after": "soon, 7"},
        {"retry-after-ms": "20"},
    ],
    ids=str,
)
def test_a_503_that_says_when_to_come_back_did_nothing(api, body, headers):
    verdict = api.verdict(Reply(503, headers, body), 3)
    assert (verdict.flow, verdict.throttled) == (Flow.AGAIN, True)


@BOTH
@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "Sun, 99 Nov 1994 08:49:37 GMT"])
def test_a_503_whose_wait_cannot_be_read_may_be_a_proxys(api, text):
    assert api.verdict(Reply(503, {"retry-after": text}), 3).flow is Flow.AMBIGUOUS


@BOTH
def test_the_servers_words_and_request_id_are_kept(api):
    verdict = api.verdict(Reply(500, {}, ERROR), 1)
    assert verdict.reason == "some_code: Some words."
    assert verdict.request_id == "r-2"
    html = api.verdict(Reply(502, {}, BODIES["html"]), 1)
    assert html.reason == "<html><body>Bad gateway</body></html>"
    assert api.verdict(Reply(502, {}, b""), 1).reason == "HTTP 502"


@BOTH
def test_a_status_in_words_is_the_reason_where_there_is_no_message(api):
    verdict = api.verdict(Reply(200, {}, b'{"status":"queued","message":""}'), 1)
    assert verdict.reason == "queued"
    coded = api.verdict(Reply(400, {}, b'{"code":"c","status":"error"}'), 1)
    assert coded.reason == "c: error"


@BOTH
@pytest.mark.parametrize("status", [429, 503, 408, 500])
def test_waits_are_read_whatever_the_status(api, status):
    assert api.verdict(Reply(status, {"retry-after": "7"}, b""), 1).retry_after == 7.0
    dated = Reply(status, {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, b"")
    assert api.verdict(dated, 1).wait_until == 784111777.0


@BOTH
@pytest.mark.parametrize("fault", list(Fault))
def test_faults_are_ambiguous_once_the_server_was_reached(api, fault):
    flow = Flow.AMBIGUOUS if fault.reached else Flow.AGAIN
    assert api.verdict(fault, 5) == Verdict(flow, reason=fault.value)


def refusal(*details: object, status: int = 400) -> Reply:
    return Reply(status, {}, json.dumps({"code": "c", "message": "m", "details": details}).encode())


@pytest.mark.parametrize(("api", "key"), [(EVENTS, "events"), (FEEDBACKS, "feedbacks")])
@pytest.mark.parametrize("status", [400, 409, 422])
def test_named_items_are_found_by_their_paths_index(api, key, status):
    reply = refusal(
        {"path": f"{key}.0.target.value", "message": "No number."},
        {"path": f"{key}.0.label", "message": "Too long."},
        {"path": f"{key}[2].target", "message": "Odd."},
        {"path": f"{key}.1"},
        status=status,
    )
    assert api.verdict(reply, 3).bad == {
        0: "target.value: No number.; label: Too long.",
        1: "",
        2: "target: Odd.",
    }


@pytest.mark.parametrize(
    "detail",
    [
        {"path": "events.3.label", "message": "beyond the batch"},
        {"path": "events", "message": "no index"},
        {"path": "events.x.label"},
        {"path": "feedbacks.0.type", "message": "the other endpoint's"},
        {"path": "events.-1.label"},
        {"path": "events.0label"},
        {"path": 7},
        {"path": ["events", 0]},
        {"message": "no path"},
        "events.0",
        None,
    ],
)
def test_a_path_that_names_no_item_of_the_batch_is_not_used(detail):
    verdict = EVENTS.verdict(refusal(detail), 3)
    assert verdict.flow is Flow.ISOLATE
    assert verdict.bad == {}


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"path": "feedbacks.0.type", "message": "Odd."}, "feedbacks.0.type: Odd."),
        ({"path": "events.3.label", "message": "Odd."}, "events.3.label: Odd."),
        ({"message": "Odd."}, "Odd."),
    ],
)
def test_what_is_said_of_a_request_of_one_item_is_said_of_that_item(detail, words):
    assert EVENTS.verdict(refusal(detail), 1).bad == {0: words}
    assert EVENTS.verdict(refusal("no object"), 1).bad == {}


@pytest.mark.parametrize("details", [None, {}, "text", 5])
def test_details_that_are_no_list_are_not_used(details):
    body = json.dumps({"details": details}).encode()
    assert EVENTS.verdict(Reply(400, {}, body), 3).bad == {}


def test_code_and_param_decide_nothing():
    content = {
        "code": "invalid_events",
        "param": "events",
        "details": [{"path": "feedbacks.1.type", "message": "Odd."}],
    }
    verdict = FEEDBACKS.verdict(Reply(400, {}, json.dumps(content).encode()), 2)
    assert verdict.bad == {1: "type: Odd."}


def test_other_statuses_name_no_items():
    reply = refusal({"path": "events.0", "message": "Odd."}, status=410)
    assert EVENTS.verdict(reply, 3) == Verdict(Flow.ISOLATE, reason="c: m", http_status=410)


def test_requests_are_what_the_api_documents():
    secret = Secret("token")
    assert EVENTS.path(None) == "/v2/watch/event"
    assert FEEDBACKS.path(None) == "/v2/watch/feedback"
    for api in (EVENTS, FEEDBACKS):
        assert api.headers(secret) == {
            "Authorization": "Bearer token",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
    assert EVENTS.request_headers("id") == {}
    assert EVENTS.body([b'{"a":1}', b'{"b":2}']) == b'{"events":[{"a":1},{"b":2}]}'
    assert FEEDBACKS.body([b"{}"]) == b'{"feedbacks":[{}]}'


def test_fields_are_those_that_the_api_documents():
    target = [("target.type", Kind.CHOICE, True), ("target.value", Kind.TARGET, True)]
    events = {field.name: field for field in EVENTS.fields}
    feedbacks = {field.name: field for field in FEEDBACKS.fields}
    assert [(each.name, each.kind, each.required) for each in EVENTS.fields] == [
        *target,
        ("label", Kind.TEXT, True),
        ("confidence", Kind.CHOICE, True),
    ]
    assert [(each.name, each.kind, each.required) for each in FEEDBACKS.fields] == [
        *target,
        ("type", Kind.CHOICE, True),
        ("metadata.correlation_id", Kind.TEXT, False),
    ]
    words = ("maximum", "high", "neutral", "low", "minimum")
    assert events["confidence"].choices == words
    assert feedbacks["type"].choices == ("verification.started", "verification.completed")
    assert events["target.type"].choices == ("phone_number", "email_address")
    assert EVENTS.batch_size == FEEDBACKS.batch_size == 100
