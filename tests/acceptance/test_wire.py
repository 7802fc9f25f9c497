"""The bytes that leave, held against the documents a second time and against the vendor's SDK."""

from __future__ import annotations

import json
import shutil
import uuid
from itertools import repeat
from pathlib import Path

import httpx
import polars as pl
import prelude_python_sdk
import pytest
from prelude_python_sdk.types import (
    watch_send_events_params,
    watch_send_events_response,
    watch_send_feedbacks_params,
)
from pydantic import TypeAdapter

from backfill.sandbox import running_sandbox
from tests.acceptance.contract_schemas import validator
from tests.acceptance.program import CREDENTIALS, backfill
from tests.acceptance.sources import pristo_job, watch_job
from tests.acceptance.wire import wire

SAMPLES = Path(__file__).parents[2] / "sample_data"
POPULATION = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("name", ["pristo", "watch-events", "watch-feedbacks"])
def test_every_body_of_the_sample_data_is_valid_to_a_second_reader(tmp_path, name):
    for path in SAMPLES.iterdir():
        if path.suffix in (".csv", ".parquet", ".toml"):
            shutil.copy(path, tmp_path)
    events = pl.read_parquet(tmp_path / "events.parquet")
    events.sample(2_000, seed=7).write_parquet(tmp_path / "events.parquet")
    config = tmp_path / f"{name}.toml"
    with wire() as server:
        backfill(
            "run", config, "--base-url", server.url, "--rate", "10000/s", cwd=tmp_path, expect=[3]
        )
        requests = server.requests
    judge = validator(f"{name}-events" if name == "pristo" else name)
    assert len(requests) > 10
    for request in requests:
        judge.validate(request.json)
        assert request.body == request.body.decode("utf-8").encode("utf-8")


def test_the_second_reader_refuses_what_it_should():
    """The judge can say no."""
    watch, pristo = validator("watch-events"), validator("pristo-events")
    good = {"target": {"type": "phone_number", "value": "+12025550143"}, "label": "a"}
    item = {**good, "confidence": "low"}
    assert watch.is_valid({"events": [item]})
    assert not watch.is_valid({"events": []})
    assert not watch.is_valid({"events": [item] * 101})
    assert not watch.is_valid({"events": [good]})
    assert not watch.is_valid({"events": [{**item, "at": "2024-01-01T00:00:00Z"}]})
    contact = {"id": POPULATION, "email": "noa@example.com"}
    assert pristo.is_valid({"contact": contact, "type": "a", "occurredAt": "2024-01-01T00:00:00Z"})
    assert not pristo.is_valid({"contact": contact, "type": "a", "occurredAt": "2024-01-01"})
    assert not pristo.is_valid({"contact": {"id": POPULATION}, "type": "a"})
    assert not pristo.is_valid({"contact": {**contact, "name": None}, "type": "a"})
    assert not pristo.is_valid({"contact": contact, "type": "a", "customFields": {"a": 1}})


def test_what_the_sandbox_logged_is_what_a_second_reader_takes(tmp_path):
    config = watch_job(tmp_path, 250)
    log = tmp_path / "log.ndjson"
    with running_sandbox(log=log) as server:
        backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[0])
    records = [json.loads(line)["record"] for line in log.read_text().splitlines()]
    assert len(records) == 250
    judge = validator("watch-events")
    for record in records:
        judge.validate({"events": [record]})


def watch_feedback_job(place: Path) -> Path:
    (place / "f.csv").write_text(
        "phone,kind,at,c\n"
        "+12025550143,verification.started,2025-01-01T00:00:00Z,ünïcode \U0001f600\n"
        "+12025550143,verification.completed,2025-01-01T00:01:00Z,\n",
        encoding="utf-8",
    )
    config = place / "feedback.toml"
    config.write_text(
        """
destination = "watch-feedbacks"
[events]
files = "f.csv"
time = "at"
[fields]
"target.value" = "phone"
"type" = "kind"
"metadata.correlation_id" = "c"
""",
        encoding="utf-8",
    )
    return config


@pytest.mark.parametrize("kind", ["events", "feedbacks"])
def test_the_wire_looks_as_it_does_from_the_official_sdk(tmp_path, kind):
    """Method, path, authentication, media type and content of the body are the same."""
    config = watch_job(tmp_path, 3) if kind == "events" else watch_feedback_job(tmp_path)
    with wire() as server:
        backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[0])
        (ours,) = server.requests
        server.requests.clear()
        with prelude_python_sdk.Prelude(
            api_token=CREDENTIALS["PRELUDE_API_TOKEN"],
            base_url=server.url,
            http_client=httpx.Client(trust_env=False),
        ) as client:
            send = client.watch.send_events if kind == "events" else client.watch.send_feedbacks
            answer = send(**ours.json)
        (theirs,) = server.requests
    assert ours.line == theirs.line == f"POST /v2/watch/{kind.removesuffix('s')} HTTP/1.1"
    for name in ("Authorization", "Content-Type", "Accept", "Host"):
        assert ours.header(name) == theirs.header(name), name
    assert ours.json == theirs.json
    assert answer.status == "success"
    assert isinstance(answer.request_id, str)
    extra = {name.lower() for name, _ in ours.headers} - {n.lower() for n, _ in theirs.headers}
    assert extra == set(), "headers that the official client does not send"


def test_the_sdks_types_take_what_is_sent(tmp_path):
    with wire() as server:
        for config in (watch_job(tmp_path, 120), watch_feedback_job(tmp_path)):
            backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[0])
        *events, feedbacks = server.requests
    theirs = TypeAdapter(watch_send_events_params.WatchSendEventsParams)
    for request in events:
        assert list(theirs.validate_python(request.json, strict=True)["events"])
    adapter = TypeAdapter(watch_send_feedbacks_params.WatchSendFeedbacksParams)
    assert len(list(adapter.validate_python(feedbacks.json, strict=True)["feedbacks"])) == 2
    assert watch_send_events_response.WatchSendEventsResponse.model_fields.keys() == {
        "status",
        "request_id",
    }


def test_a_pristo_request_to_the_last_byte(tmp_path):
    config = pristo_job(tmp_path, 1)
    with wire() as server:
        backfill("run", config, "--base-url", f"{server.url}/", cwd=tmp_path, expect=[0])
        (request,) = server.requests
    assert request.line == f"POST /v1/events/send/{POPULATION} HTTP/1.1"
    names = [name.lower() for name, _ in request.headers]
    assert sorted(names) == sorted(set(names))
    assert set(names) == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "x-api-key",
        "x-request-id",
    }
    assert request.header("X-API-Key") == CREDENTIALS["PRISTO_API_KEY"]
    assert uuid.UUID(request.header("X-Request-Id") or "").version == 5
    assert request.header("Host") == server.url.removeprefix("http://")
    contact = uuid.uuid5(uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "0")
    assert request.body.decode() == (
        f'{{"contact":{{"id":"{contact}","email":"person0@example.com"}},"type":"purchase",'
        '"occurredAt":"2025-01-01T00:00:00Z","customFields":{"order":"order-0"}}'
    )


def test_a_request_keeps_its_id_when_it_is_sent_again(tmp_path):
    """Also by a job planned anew, since the id comes from the record alone."""
    config = pristo_job(tmp_path, 1)
    with wire() as server:
        server.answers = repeat((503, b"Retry-After: 0\r\n", b""))
        run: list[str | Path] = ["run", config, "--base-url", server.url]
        backfill(*run, "--max-duration", "1s", cwd=tmp_path, expect=[7, 8])
        server.answers = None
        backfill(*run, cwd=tmp_path, expect=[0])
        backfill(*run, "--job", tmp_path / "again.job", cwd=tmp_path, expect=[0])
        ids = {request.header("X-Request-Id") for request in server.requests}
    assert len(server.requests) >= 3
    assert len(ids) == 1
