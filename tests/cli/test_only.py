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
    done = backfill("run", config, "--only", "contact.id", *url, cwd=tmp_path, expect=[2])
    assert "FIELD=VALUE" in done.err
