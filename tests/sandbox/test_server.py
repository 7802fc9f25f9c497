"""The sandbox over real sockets: replies as documented, and every fault as a client meets it."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import httpx
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backfill.core.errors import ConfigError
from backfill.sandbox import Fault, Sandbox, running_sandbox
from backfill.sandbox.schemas import PRISTO_ERROR, PRISTO_REPLY, WATCH_ERROR, WATCH_REPLY
from tests.sandbox.requests import (
    EVENTS_PATH,
    FEEDBACKS_PATH,
    HEADERS,
    POPULATION,
    PRISTO_PATH,
    event,
    feedback,
    pristo,
)

VALIDATORS = {
    name: jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for name, schema in (
        ("pristo", PRISTO_REPLY),
        ("pristo-error", PRISTO_ERROR),
        ("watch", WATCH_REPLY),
        ("watch-error", WATCH_ERROR),
    )
}
REQUESTS = [
    (PRISTO_PATH, pristo()),
    (EVENTS_PATH, {"events": [event(), event(label="two")]}),
    (FEEDBACKS_PATH, {"feedbacks": [feedback()]}),
]
NAMES = {
    PRISTO_PATH: "pristo-events",
    EVENTS_PATH: "watch-events",
    FEEDBACKS_PATH: "watch-feedbacks",
}


def client(sandbox: Sandbox, **options) -> httpx.Client:
    return httpx.Client(
        base_url=sandbox.url, headers=HEADERS, timeout=10, trust_env=False, **options
    )


def assert_conforms(reply: httpx.Response) -> None:
    vendor = "pristo" if reply.request.url.path.startswith("/v1/") else "watch"
    name = vendor if reply.is_success else f"{vendor}-error"
    VALIDATORS[name].validate(reply.json())
    assert reply.headers["content-type"].startswith("application/json")


@pytest.fixture(scope="module")
def shared():
    """A sandbox without faults, for tests that count nothing."""
    with running_sandbox() as sandbox, client(sandbox) as http:
        yield http


# --- replies -------------------------------------------------------------------------------


def test_good_requests_are_stored_and_answered_as_documented():
    with running_sandbox() as sandbox, client(sandbox) as http:
        replies = [http.post(path, json=body) for path, body in REQUESTS]
        for reply in replies:
            assert_conforms(reply)
        assert [reply.status_code for reply in replies] == [201, 200, 200]
        assert replies[0].json() == {
            "ok": True,
            "status": 201,
            "statusText": "Created",
            "body": None,
            "raw": "",
        }
        assert [each.record for each in sandbox.accepted] == [
            pristo(),
            event(),
            event(label="two"),
            feedback(),
        ]
        assert [each.index for each in sandbox.accepted] == [0, 0, 1, 0]
        assert sandbox.accepted[1].request == replies[1].json()["request_id"]
        assert sandbox.accepted[1].key == "+12025550143"
        assert sandbox.accepted[0].key == pristo()["contact"]["id"]


def test_one_bad_item_refuses_the_whole_batch_and_is_named_by_path():
    with running_sandbox() as sandbox, client(sandbox) as http:
        items = [feedback(), feedback(), feedback(type="verification.failed")]
        reply = http.post(FEEDBACKS_PATH, json={"feedbacks": items})
        assert reply.status_code == 400
        assert_conforms(reply)
        assert [each["path"] for each in reply.json()["details"]] == ["feedbacks.2.type"]
        assert sandbox.accepted == []
        assert sandbox.stats["destinations"]["watch-feedbacks"]["statuses"] == {"400": 1}


def test_pristo_keeps_the_request_id_and_knows_a_contact_from_its_first_report():
    ids = ["11111111-2222-4333-8444-555555555555", "11111111-2222-4333-8444-555555555556"]
    bare = pristo(contact__phone=None, contact__email=None)
    with running_sandbox() as sandbox, client(sandbox) as http:
        assert http.post(PRISTO_PATH, json=bare).status_code == 400
        for request_id, body in zip(ids, (pristo(), bare), strict=True):
            reply = http.post(PRISTO_PATH, json=body, headers={"X-Request-Id": request_id})
            assert reply.status_code == 201
        assert [each.request for each in sandbox.accepted] == ids


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PRISTO_PATH, {"X-API-Key": ""}, 401),
        (EVENTS_PATH, {"Authorization": ""}, 401),
        (EVENTS_PATH, {"Authorization": "Bearer"}, 401),
        (EVENTS_PATH, {"Authorization": "Basic abc"}, 401),
        (FEEDBACKS_PATH, {"Authorization": "some-token"}, 401),
        (PRISTO_PATH, {"X-Request-Id": "17"}, 400),
        (PRISTO_PATH, {"Content-Type": "text/plain"}, 415),
        (EVENTS_PATH, {"Content-Type": "application/x-ndjson"}, 415),
        ("/v1/events/send/17", {}, 400),
        ("/v1/events/send/", {}, 400),
        (PRISTO_PATH + "/", {}, 404),
        ("/v1/events", {}, 404),
        ("/v2/watch/events", {}, 404),
        ("/", {}, 404),
    ],
)
def test_wrong_addresses_and_headers_are_refused_in_the_vendors_words(
    shared, path, headers, status
):
    reply = shared.post(
        path, content=json.dumps(pristo()), headers={"Content-Type": "application/json"} | headers
    )
    assert reply.status_code == status
    assert_conforms(reply)


@pytest.mark.parametrize("path", [PRISTO_PATH, EVENTS_PATH])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_taken(shared, path, method):
    reply = shared.request(method, path)
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert_conforms(reply)


def test_a_given_credential_is_the_only_one_accepted():
    with running_sandbox(credential="some-key") as sandbox, client(sandbox) as http:
        assert http.post(PRISTO_PATH, json=pristo()).status_code == 201
        refused = http.post(EVENTS_PATH, json={"events": [event()]})
        assert refused.status_code == 401
        assert_conforms(refused)


def test_a_body_beyond_the_limit_is_too_large():
    with running_sandbox(max_body=400) as sandbox, client(sandbox) as http:
        for path, body in (
            (EVENTS_PATH, {"events": [event()] * 10}),
            (PRISTO_PATH, {"x": "y" * 999}),
        ):
            reply = http.post(path, json=body)
            assert reply.status_code == 413
            assert_conforms(reply)
        chunks = (b" " * 300 for _ in range(2))
        reply = http.post(EVENTS_PATH, content=chunks, headers={"Content-Type": "application/json"})
        assert reply.status_code == 413
        assert http.post(EVENTS_PATH, json={"events": [event()]}).status_code == 200


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["contact", "type", "id", "target", "value", "events", "label", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_BODIES = st.one_of(
    _JSON.map(json.dumps).map(str.encode),
    st.binary(max_size=60),
    st.lists(_JSON, max_size=3).map(lambda items: json.dumps({"events": items}).encode()),
    st.dictionaries(st.sampled_from(list(pristo())), _JSON).map(
        lambda changes: json.dumps(pristo() | changes).encode()
    ),
    st.sampled_from(REQUESTS).map(lambda request: json.dumps(request[1]).encode()),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from([path for path, _ in REQUESTS]), body=_BODIES)
def test_whatever_comes_the_reply_conforms_to_the_documents(shared, path, body):
    reply = shared.post(path, content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (200, 201, 400)
    assert_conforms(reply)


# --- faults --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "statuses", "stored"),
    [
        ("429", (429, 429), False),
        ("500", (500, 500), False),
        ("500-after", (500, 500), True),
        ("503", (503, 503), False),
        ("504-after", (504, 504), True),
        ("401", (401, 401), False),
        ("302", (302, 302), False),
        ("bad-item", (400, 400), False),
        ("html", (502, 502), False),
        ("html-after", (201, 200), True),
        ("not-ok", (201, 200), False),
        ("wrong-length", (201, 200), True),
        ("slow:0.01", (201, 200), True),
    ],
)
def test_faults_that_answer(kind, statuses, stored):
    with running_sandbox(faults=[f"{kind}=100%"]) as sandbox:
        for (path, body), status in zip(REQUESTS[:2], statuses, strict=True):
            with client(sandbox) as http:  # bytes too many spoil a connection for the next one
                reply = http.post(path, json=body)
            assert reply.status_code == status
            name = NAMES[path]
            assert sandbox.stats["destinations"][name]["faults"] == {kind.partition(":")[0]: 1}
            assert bool([each for each in sandbox.accepted if each.destination == name]) is stored
            if kind[0].isdigit() or kind == "bad-item":
                assert_conforms(reply)


@pytest.mark.parametrize("path_and_body", REQUESTS[:2])
@pytest.mark.parametrize(
    ("kind", "error", "stored"),
    [
        ("cut-before", httpx.RemoteProtocolError, False),
        ("cut-after", httpx.RemoteProtocolError, True),
        ("half-reply", httpx.RemoteProtocolError, True),
        ("hang", httpx.ReadTimeout, False),
        ("hang-after", httpx.ReadTimeout, True),
    ],
)
def test_faults_that_give_no_whole_reply(kind, error, stored, path_and_body):
    path, body = path_and_body
    with running_sandbox(faults=[f"{kind}=1"]) as sandbox, client(sandbox) as http:
        with pytest.raises(error):
            http.post(path, json=body, timeout=0.3)
        assert bool(sandbox.accepted) is stored
        assert {each.fault for each in sandbox.accepted} <= {kind}
        assert sandbox.stats["destinations"][NAMES[path]]["faults"] == {kind: 1}


def test_half_a_reply_promises_more_bytes_and_a_wrong_length_fewer_than_come():
    for kind, says_more in (("half-reply", True), ("wrong-length", False)):
        with running_sandbox(faults=[f"{kind}=1"]) as sandbox:
            head, body = _raw_exchange(sandbox)
            promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert head.startswith(b"HTTP/1.1 201")
            assert (promised > len(body)) is says_more
            assert promised != len(body)


def _raw_exchange(sandbox: Sandbox) -> tuple[bytes, bytes]:
    """Send a Pristo event over a bare socket; what comes until the server closes."""
    body = json.dumps(pristo()).encode()
    lines = [
        f"POST {PRISTO_PATH} HTTP/1.1",
        "Host: 127.0.0.1",
        "X-API-Key: k",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), 10) as wire:
        wire.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    head, _, rest = answer.partition(b"\r\n\r\n")
    return head, rest


def test_an_unused_connection_is_closed_after_the_idle_time():
    with running_sandbox(idle=0.05) as sandbox:
        head, body = _raw_exchange(sandbox)  # ends only because the server closes
        assert head.startswith(b"HTTP/1.1 201")
        assert json.loads(body)["ok"] is True


def test_not_ok_carries_the_inner_status_that_was_asked_for():
    with running_sandbox(faults=["not-ok:429=1"]) as sandbox, client(sandbox) as http:
        reply = http.post(PRISTO_PATH, json=pristo())
        assert_conforms(reply)
        assert (reply.json()["ok"], reply.json()["status"]) == (False, 429)


def test_a_bad_item_names_one_of_the_batch():
    with running_sandbox(faults=["bad-item=1"], seed=4) as sandbox, client(sandbox) as http:
        paths = set()
        for _ in range(12):
            (detail,) = http.post(EVENTS_PATH, json={"events": [event()] * 5}).json()["details"]
            paths.add(detail["path"])
        assert 1 < len(paths) <= 5
        assert paths <= {f"events.{index}.target.value" for index in range(5)}


def test_a_fault_with_a_number_says_how_long_to_wait():
    with running_sandbox(faults=["503:7=1"]) as sandbox, client(sandbox) as http:
        assert http.post(PRISTO_PATH, json=pristo()).headers["retry-after"] == "7"
    with running_sandbox(faults=["503=1"]) as sandbox, client(sandbox) as http:
        assert "retry-after" not in http.post(PRISTO_PATH, json=pristo()).headers


def test_a_record_that_breaks_the_contract_is_not_stored_by_a_fault():
    with running_sandbox(faults=["cut-after=1"]) as sandbox, client(sandbox) as http:
        assert http.post(PRISTO_PATH, json=pristo(type=7)).status_code == 400
        assert sandbox.accepted == []
        assert sandbox.stats["destinations"]["pristo-events"]["faults"] == {}


def test_spoilt_requests_are_remembered_with_their_records_stored_or_not():
    kinds = ["500", "cut-after", None, "not-ok"]
    with (
        running_sandbox(faults=lambda arrival: kinds[arrival.number]) as sandbox,
        client(sandbox) as http,
    ):
        bodies = [pristo(customFields__amount=f"{number}") for number in range(4)]
        for body in bodies:
            with suppress(httpx.RemoteProtocolError):
                http.post(PRISTO_PATH, json=body)
        assert [(each.fault, each.stored, each.records) for each in sandbox.injected] == [
            ("500", False, (bodies[0],)),
            ("cut-after", True, (bodies[1],)),
            ("not-ok", False, (bodies[3],)),
        ]
        assert [each.record for each in sandbox.accepted] == bodies[1:3]


def test_a_script_decides_for_each_arrival():
    seen = []

    def script(arrival):
        seen.append(arrival)
        return {0: "500", 1: Fault("429", 3)}.get(arrival.number)

    with running_sandbox(faults=script) as sandbox, client(sandbox) as http:
        statuses = [
            http.post(EVENTS_PATH, json={"events": [event()]}).status_code for _ in range(3)
        ]
    assert statuses == [500, 429, 200]
    assert [each.number for each in seen] == [0, 1, 2]
    assert seen[0].keys == ("+12025550143",)
    assert seen[0].destination == "watch-events"
    assert json.loads(seen[0].body) == {"events": [event()]}


def test_the_same_seed_meets_the_same_requests_with_the_same_faults():
    def statuses(seed: int) -> list[int]:
        faults = ["500=30%", "429=30%"]
        with running_sandbox(faults=faults, seed=seed) as sandbox, client(sandbox) as http:
            return [http.post(PRISTO_PATH, json=pristo()).status_code for _ in range(30)]

    first = statuses(5)
    assert statuses(5) == first
    assert set(first) == {201, 429, 500}


# --- limits, witness, lifetime ---------------------------------------------------------------


def test_the_rate_limit_refuses_with_retry_after_and_serves_each_destination():
    now = 0.0
    with (
        running_sandbox(rate_limit="120/min", burst=3, clock=lambda: now) as sandbox,
        client(sandbox) as http,
    ):
        replies = [http.post(PRISTO_PATH, json=pristo()) for _ in range(5)]
        assert [reply.status_code for reply in replies] == [201, 201, 201, 429, 429]
        assert replies[-1].headers["retry-after"] == "1"
        assert_conforms(replies[-1])
        assert http.post(EVENTS_PATH, json={"events": [event()]}).status_code == 200
        now = 0.5
        statuses = [http.post(PRISTO_PATH, json=pristo()).status_code for _ in range(2)]
        assert statuses == [201, 429]
        assert len(sandbox.accepted) == 5
        assert sandbox.stats["destinations"]["pristo-events"]["statuses"] == {"201": 4, "429": 3}


@pytest.mark.parametrize(
    ("style", "names"),
    [("milliseconds", {"retry-after-ms"}), ("date", {"retry-after"}), ("none", set())],
)
def test_a_429_speaks_in_the_chosen_way(style, names):
    with (
        running_sandbox(rate_limit="1/h", burst=1, retry_after=style) as sandbox,
        client(sandbox) as http,
    ):
        http.post(PRISTO_PATH, json=pristo())
        reply = http.post(PRISTO_PATH, json=pristo())
        assert reply.status_code == 429
        assert {name for name in reply.headers if name.startswith("retry-after")} == names


def test_overlap_and_disorder_are_seen_over_the_wire_and_in_the_stats():
    arrived = threading.Event()

    def script(arrival):
        arrived.set()
        return "slow:0.5" if arrival.number == 0 else None

    with running_sandbox(faults=script) as sandbox, client(sandbox) as http:
        first = threading.Thread(target=lambda: http.post(PRISTO_PATH, json=pristo()))
        first.start()
        assert arrived.wait(5)
        other = pristo(contact__id="0f3b2a52-6f0e-4f5e-8a8b-0a4a3c1f7e99")
        http.post(PRISTO_PATH, json=other)
        http.post(PRISTO_PATH, json=pristo(occurredAt="2025-01-01T00:00:00Z"))
        first.join()
        stats = http.get("/_sandbox/stats").json()
        assert stats == sandbox.stats
        pristo_stats = stats["destinations"]["pristo-events"]
        assert pristo_stats["overlaps"] == 1
        assert pristo_stats["disorder"] == 1
        assert pristo_stats["accepted"] == pristo_stats["requests"] == 3


def test_a_client_that_went_away_holds_no_key():
    with running_sandbox(faults=lambda arrival: None if arrival.number else "hang") as sandbox:
        with client(sandbox) as impatient, pytest.raises(httpx.ReadTimeout):
            impatient.post(PRISTO_PATH, json=pristo(), timeout=0.2)
        with client(sandbox) as http:
            deadline = time.monotonic() + 5
            while sandbox._accepted_log._in_flight["pristo-events"] and time.monotonic() < deadline:
                http.get("/_sandbox/stats")
            assert http.post(PRISTO_PATH, json=pristo()).status_code == 201
        assert sandbox.stats["destinations"]["pristo-events"]["overlaps"] == 0


def test_the_log_has_the_record_before_the_client_has_the_reply(tmp_path):
    path = tmp_path / "log.ndjson"
    with running_sandbox(log=path, keep=False) as sandbox, client(sandbox) as http:
        for number in range(1, 4):
            http.post(EVENTS_PATH, json={"events": [event(), event(label=f"{number}")]})
            lines = [json.loads(line) for line in path.read_bytes().splitlines()]
            assert len(lines) == 2 * number
            assert lines[-1]["record"]["label"] == f"{number}"
        assert sandbox.accepted == []


def test_requests_elsewhere_are_counted():
    with running_sandbox() as sandbox, client(sandbox) as http:
        http.post("/v2/watch/events", json={})
        assert sandbox.stats["elsewhere"] == {"404": 1}


def test_watch_chooses_the_request_id_itself():
    with running_sandbox() as sandbox, client(sandbox) as http:
        headers = {"X-Request-Id": 'mine"'}
        reply = http.post(EVENTS_PATH, json={"events": [event()]}, headers=headers)
        assert_conforms(reply)
        assert reply.json()["request_id"] == sandbox.accepted[0].request != 'mine"'


def test_a_port_or_log_that_cannot_be_had_is_explained(tmp_path):
    with running_sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        for wrong in (port, 65_536):
            with pytest.raises(ConfigError, match="cannot be opened"), running_sandbox(port=wrong):
                pass
    with pytest.raises(ConfigError, match="cannot be written"), running_sandbox(log=tmp_path):
        pass


def test_a_hanging_request_does_not_hold_the_sandbox_open():
    started = time.monotonic()
    with running_sandbox(faults=["hang=1"]) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        body = json.dumps(pristo()).encode()
        wire = socket.create_connection(("127.0.0.1", port), 10)
        wire.sendall(
            f"POST /v1/events/send/{POPULATION} HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        while not sandbox.stats["destinations"]["pristo-events"]["faults"]:
            assert time.monotonic() < started + 10
    with wire:
        assert wire.recv(100) == b""
    assert time.monotonic() - started < 10
