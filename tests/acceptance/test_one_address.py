"""One job, one address: what one server took, another one has never seen."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill
from tests.acceptance.sources import pristo_job

ELSEWHERE = "https://api.example.com"


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory) -> Path:
    """A job of twelve records that a sandbox has taken in full."""
    place: Path = tmp_path_factory.mktemp("rehearsed")
    pristo_job(place, 12)
    with running_sandbox() as server:
        plan = backfill("plan", "pristo.toml", "--json", cwd=place, expect=[0]).json
        assert (plan["address"], plan["rehearsal"], plan["exit_code"]) == (None, False, 0)
        ended = backfill(
            "run", "pristo.toml", "--base-url", server.url, "--json", cwd=place, expect=[0]
        )
        assert "(this machine: a rehearsal)" in ended.err
        assert ended.json["address"] == server.url
        assert (ended.json["rehearsal"], ended.json["exit_code"]) == (True, 0)
    return place


@pytest.mark.parametrize("name", ["pristo.toml", "pristo.job"])
def test_a_job_that_was_rehearsed_is_not_called_delivered_anywhere_else(rehearsed, name):
    ended = backfill(
        "run", name, "--base-url", ELSEWHERE, cwd=rehearsed, expect=[10], PRISTO_API_KEY=""
    )
    assert "a rehearsal" in ended.err
    assert ELSEWHERE in ended.err
    assert "--job" in ended.err
    assert not ended.out
    refused = backfill("run", name, "--base-url", ELSEWHERE, "--json", cwd=rehearsed, expect=[10])
    assert refused.json["exit_code"] == 10


def test_all_addresses_of_this_machine_are_the_rehearsal(rehearsed):
    backfill("run", "pristo.job", "--base-url", "http://localhost:9", cwd=rehearsed, expect=[0])


def test_whoever_looks_is_told_where_the_records_went(rehearsed):
    status = backfill("status", "pristo.job", cwd=rehearsed, expect=[0]).out
    assert "Address: http://127.0.0.1" in status
    assert "a rehearsal" in status
    found = backfill("status", "pristo.job", "--json", cwd=rehearsed, expect=[0]).json
    assert found["address"].startswith("http://127.0.0.1")
    assert found["rehearsal"] is True
    backfill("report", "pristo.job", "-o", "page.html", cwd=rehearsed, expect=[0])
    assert "Sent to <bdi>http://127.0.0.1" in (rehearsed / "page.html").read_text("utf-8")


def test_an_address_that_nothing_reached_is_none(tmp_path):
    pristo_job(tmp_path, 3, delivery='patience = "1s"')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ended = backfill(
            "run", "pristo.toml", "--base-url", dead, "--json", cwd=tmp_path, expect=[7]
        )
    assert (ended.json["address"], ended.json["rehearsal"]) == (None, False)
    assert ended.json["exit_code"] == 7
