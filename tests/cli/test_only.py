"""`backfill run --only`: a canary of one's choice, then the rest."""

from __future__ import annotations

import json

from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill
from tests.acceptance.sources import pristo_job


def test_a_contact_goes_first_then_the_rest(tmp_path):
    config = pristo_job(tmp_path, 100, contacts=10)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    sample = json.loads(backfill("plan", config, "--json", cwd=tmp_path).out)["plan"]["samples"][0]
    key = json.loads(sample)["contact"]["id"]
    with running_sandbox() as server:
        to = ("--base-url", server.url)
        first = backfill(
            "run", config, "--only", f"contact.id={key}", "--json", *to, cwd=tmp_path, expect=[8]
        ).json
        assert first["records"]["delivered"] == 10
        assert {each.key for each in server.accepted} == {key}
        assert first["next"].startswith(f"backfill run {config}")
        backfill("run", config, *to, cwd=tmp_path, expect=[0])
        assert len(server.accepted) == 100
        stats = server.stats["destinations"]["pristo-events"]
        assert (stats["overlaps"], stats["disorder"]) == (0, 0)


def test_what_is_no_field_or_no_pair_is_refused_before_anything_is_sent(tmp_path):
    config = pristo_job(tmp_path, 5)
    url = ("--base-url", "http://127.0.0.1:9")
    done = backfill("run", config, "--only", "contact.idd=x", *url, cwd=tmp_path, expect=[2])
    assert "Did you mean" in done.err
    assert "Sending" not in done.err
    done = backfill("run", config, "--only", "contact.id", *url, cwd=tmp_path, expect=[2])
    assert "FIELD=VALUE" in done.err


def test_a_value_that_no_record_has_is_a_mistake_and_binds_the_job_to_no_address(tmp_path):
    config = pristo_job(tmp_path, 5)
    with running_sandbox() as server:
        to = ("--base-url", server.url)
        done = backfill("run", config, "--only", "type=purchse", *to, cwd=tmp_path, expect=[2])
        assert "no record has type = purchse" in done.err
        assert "Did you mean" in done.err or "Known names" in done.err
        nothing = "customFields.nope=1"
        done = backfill("run", config, "--only", nothing, *to, cwd=tmp_path, expect=[2])
        assert "No record has a customFields.nope" in done.err
        assert "contact.id" in done.err
        found = backfill("status", config, "--json", cwd=tmp_path).json
        assert (found["address"], found["records"]["pending"]) == (None, 5)
        assert found["ended_at"] is not None
        assert not server.accepted


def test_a_canary_that_was_delivered_is_no_mistake(tmp_path):
    config = pristo_job(tmp_path, 20, contacts=4)
    sample = json.loads(backfill("plan", config, "--json", cwd=tmp_path).out)["plan"]["samples"][0]
    only = ("--only", f"contact.id={json.loads(sample)['contact']['id']}")
    with running_sandbox() as server:
        to = ("--base-url", server.url)
        backfill("run", config, *only, *to, cwd=tmp_path, expect=[8])
        again = backfill("run", config, *only, "--limit", "2", *to, cwd=tmp_path, expect=[8])
        assert "no pending record has contact.id" in again.out
        assert "Sending at most 2 of what has contact.id = " in again.err
        assert " of 15 records to " in again.err


def test_an_id_of_ones_own_is_found_as_the_uuid_that_it_became(tmp_path):
    rows = "".join(
        f"c-{number},2024-03-01T10:00:00Z,purchase,p{number}@example.com\n" for number in range(5)
    )
    (tmp_path / "events.csv").write_text("id,at,type,email\n" + rows)
    config = tmp_path / "own.toml"
    config.write_text(
        """
destination = "pristo-events"
population = "00000000-0000-4000-8000-000000000000"
[events]
files = "events.csv"
time = "at"
[fields]
"contact.id" = "id"
"contact.email" = "email"
"type" = "type"
[rules]
contact_id = { namespace = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff" }
"""
    )
    with running_sandbox() as server:
        only = ("--only", "contact.id= c-3 ", "--base-url", server.url)
        backfill("run", config, *only, cwd=tmp_path, expect=[8])
        assert [each.record["contact"]["email"] for each in server.accepted] == ["p3@example.com"]
