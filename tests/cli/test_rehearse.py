"""`backfill rehearse` as a person types it, and `job.rehearse()`."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

import backfill as library
from tests.acceptance.program import backfill, start
from tests.acceptance.sources import pristo_job, watch_job


def files_in(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def test_it_delivers_to_a_server_of_its_own_and_leaves_nothing(tmp_path):
    config = pristo_job(tmp_path, 300)
    before = files_in(tmp_path)
    done = backfill("rehearse", config.name, "--json", cwd=tmp_path, expect=[0])
    assert done.json["records"]["delivered"] == 300
    assert done.json["seen"]["accepted"] == 300
    assert (done.json["seen"]["overlaps"], done.json["seen"]["disorder"]) == (0, 0)
    assert done.json["real_run"] == {"requests": 300, "seconds": 300 / 100_000}
    assert (done.json["kept"], done.json["next"]) == (None, None)
    assert files_in(tmp_path) == before


def test_no_credential_is_needed_and_no_vendor_is_asked(tmp_path):
    config = watch_job(tmp_path, 50, delivery='base_url = "https://example.com"')
    done = backfill(
        "rehearse", config, cwd=tmp_path, expect=[0], PRELUDE_API_TOKEN="", PRISTO_API_KEY=""
    )
    assert "50 records accepted" in done.out
    assert f"the real run: backfill run {config}" in done.out
    assert "\nNext:" not in done.out


def test_faults_and_a_limit_are_as_asked_for(tmp_path):
    config = pristo_job(tmp_path, 200)
    done = backfill(
        "rehearse", config, "--limit", 6, "--fault", "500-after=100%", "--json",
        cwd=tmp_path, expect=[5, 8],
    )  # fmt: skip
    books = done.json["records"]
    assert (books["unknown"] + books["pending"], books["delivered"]) == (200, 0)
    assert done.json["seen"]["faults"]["500-after"] == books["unknown"]
    wrong = backfill("rehearse", config, "--fault", "no-such=1%", cwd=tmp_path, expect=[2])
    assert "no-such" in wrong.err


def test_a_job_of_the_configuration_is_not_touched(tmp_path):
    config = pristo_job(tmp_path, 30)
    planned = backfill("plan", config, "--json", cwd=tmp_path, expect=[0]).json
    backfill("rehearse", config, cwd=tmp_path, expect=[0])
    assert backfill("status", config, "--json", cwd=tmp_path).json["records"] == planned["records"]


def test_with_keep_it_can_be_looked_at(tmp_path):
    config = pristo_job(tmp_path, 30)
    kept = backfill("rehearse", config, "--keep", "--json", cwd=tmp_path, expect=[0]).json["kept"]
    assert Path(kept).parent == tmp_path
    assert backfill("status", kept, "--json", cwd=tmp_path).json["records"]["delivered"] == 30


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    config = pristo_job(tmp_path, 3000)
    before = files_in(tmp_path)
    process = start("rehearse", config, "--fault", "slow:0.2=100%", cwd=tmp_path)
    end = time.monotonic() + 60
    while not list(tmp_path.glob("*.rehearsal-*/ledger.sqlite-wal")):  # the run is in the ledger
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert files_in(tmp_path) == before


def test_a_plan_that_fails_says_so_and_leaves_nothing(tmp_path):
    config = pristo_job(tmp_path, 30)
    (tmp_path / "events.parquet").unlink()
    before = files_in(tmp_path)
    assert "events.parquet" in backfill("rehearse", config, cwd=tmp_path, expect=[2]).err
    assert files_in(tmp_path) == before


def test_a_notebook_rehearses_its_job(tmp_path):
    job = library.plan(pristo_job(tmp_path, 30))
    found = job.rehearse(limit=10)
    assert (found.status.books.delivered, found.seen["accepted"], found.exit_code) == (10, 10, 8)
    assert job.status().books.delivered == 0
    html = found._repr_html_()
    assert "<p>10 requests, 10 records accepted</p>" in html
    assert "<p>The real run needs 30 requests: " in html


def test_a_job_without_its_configuration_says_what_is_missing(tmp_path):
    config = pristo_job(tmp_path, 30)
    job = library.plan(config)
    config.unlink()
    with pytest.raises(library.BackfillError, match="configuration is gone"):
        library.open_job(job.directory).rehearse()


def test_a_notebook_names_faults_as_the_command_does(tmp_path):
    job = library.plan(pristo_job(tmp_path, 30))
    one = job.rehearse(fault="bad-item=100%", limit=5)
    assert one.seen["faults"] == {"bad-item": one.seen["requests"]}
    assert set(job.rehearse(fault=["bad-item=50%", "slow:0.01=50%"]).seen["faults"]) == {
        "bad-item",
        "slow",
    }


def test_contacts_that_are_known_already_are_taken_by_their_id_alone(tmp_path):
    (tmp_path / "events.csv").write_text(
        "user,kind,at\n6f9619ff-8b86-4d01-b42d-00cf4fc964ff,buy,2024-01-01T10:00:00Z\n"
    )
    job = library.plan(
        destination="pristo-events",
        population="00000000-0000-4000-8000-000000000000",
        events=tmp_path / "events.csv",
        fields={"contact.id": "user", "type": "kind"},
        time="at",
        rules={"reachable": "known"},
        job=tmp_path / "known.job",
    )
    assert job.rehearse().status.books.delivered == 1
