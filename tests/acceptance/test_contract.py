"""The commands as a script sees them: exit codes, JSON, messages."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time

import polars as pl
import pytest

from backfill.api import open_job as package_job
from backfill.jobs.opening import open_job
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill, backfill_in_a_process, start
from tests.acceptance.sources import pristo_job, watch_job

STATES = ("rejected", "duplicate", "pending", "delivered", "failed", "unknown")


def balanced(content) -> bool:
    records = content["records"]
    return bool(records["input"] == sum(records[state] for state in STATES))


def test_a_clean_job_goes_all_the_way(tmp_path):
    config = pristo_job(tmp_path, 200)
    planned = backfill_in_a_process("plan", config, "--json", cwd=tmp_path, expect=[0]).json
    assert planned["phase"] == "planned"
    assert planned["records"]["pending"] == planned["records"]["input"] == 200
    assert planned["next"] == f"backfill run {config}"
    with running_sandbox() as server:
        ended = backfill_in_a_process(
            "run", config, "--json", "--base-url", server.url, cwd=tmp_path, expect=[0]
        ).json
        accepted = server.accepted
    assert ended["phase"] == "complete"
    assert ended["records"]["delivered"] == 200
    assert ended["requests"]["sent"] == 200
    assert ended["next"] is None
    assert len(accepted) == 200
    assert backfill_in_a_process("status", config, "--json", cwd=tmp_path, expect=[0]).json == ended
    assert balanced(planned)
    assert balanced(ended)


def test_records_of_one_contact_arrive_in_the_order_of_time(tmp_path):
    config = pristo_job(tmp_path, 500, contacts=7, delivery="concurrency = 32")
    with running_sandbox(latency=0.005) as server:
        backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[0])
        seen = server.stats["destinations"]["pristo-events"]
    assert seen["accepted"] == 500
    assert seen["overlaps"] == 0
    assert seen["disorder"] == 0


def test_a_watch_job_needs_hardly_more_requests_than_full_batches(tmp_path):
    config = watch_job(tmp_path, 20_000, phones=700)
    with running_sandbox(keep=False) as server:
        ended = backfill(
            "run", config, "--json", "--base-url", server.url, cwd=tmp_path, expect=[0]
        ).json
    assert ended["records"]["delivered"] == 20_000
    assert ended["requests"]["sent"] <= 216


def test_a_run_that_is_limited_says_how_to_go_on_and_does(tmp_path):
    config = pristo_job(tmp_path, 60)
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url]
        first = backfill(*run, "--limit", "25", "--json", cwd=tmp_path, expect=[8]).json
        assert first["records"]["delivered"] == 25
        assert first["phase"] == "stopped"
        assert first["next"].startswith(f"backfill run {config}")
        again = first["next"].split()[1:]
        last = backfill(*again, "--json", cwd=tmp_path, expect=[0]).json
        assert last["records"]["delivered"] == 60
        assert len(server.accepted) == 60


def test_a_limit_that_is_just_enough_is_a_finished_run(tmp_path):
    config = pristo_job(tmp_path, 20)
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url, "--limit", "20"]
        assert backfill(*run, "--json", cwd=tmp_path, expect=[0]).json["phase"] == "complete"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_records_what_was_in_flight(tmp_path, number, code):
    config = pristo_job(tmp_path, 2_000, delivery="concurrency = 4")
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox(latency=0.1) as server:
        process = start("run", config, "--json", "--base-url", server.url, cwd=tmp_path)
        deadline = time.monotonic() + 30
        while len(server.accepted) < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        ended = json.loads(out)
        assert ended["records"]["unknown"] == 0
        assert ended["records"]["delivered"] == len(server.accepted) >= 8
        assert f"backfill run {config}" in ended["next"]
        assert balanced(ended)


def test_a_second_interrupt_leaves_at_once_and_the_ledger_knows(tmp_path):
    config = pristo_job(tmp_path, 2_000, delivery="concurrency = 4")
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox(latency=60) as server:  # no answer comes before it has left
        process = start("run", config, "--base-url", server.url, cwd=tmp_path)
        deadline = time.monotonic() + 30
        while not server.stats["destinations"]["pristo-events"]["requests"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
    content = backfill("status", config, "--json", cwd=tmp_path, expect=[0]).json
    assert 1 <= content["records"]["unknown"] <= 4
    assert balanced(content)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('time = "at"', 'tme = "at"', "Did you mean 'time'?"),
        ('"contact.email"', '"contact.emial"', "contact.email"),
        ('"order_no"', '"order_nr"', "order_no"),
        ('"events.parquet"', '"event.parquet"', "events.parquet"),
        ('destination = "pristo-events"', 'destination = "pristo-event"', "'pristo-events'"),
        ("[delivery]", '[delivery]\napi_key = "shown-nowhere"', "credential"),
        ("[delivery]", '[delivery]\nbase_url = "http://api.example.com"', "https"),
        ("population =", "# population =", "population"),
    ],
)
def test_a_wrong_configuration_is_explained(tmp_path, before, after, expected):
    config = pristo_job(tmp_path, 5)
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after))
    ended = backfill("run", config, "--yes", cwd=tmp_path, expect=[2])
    assert expected in ended.err
    assert "shown-nowhere" not in ended.err + ended.out
    assert ended.out == ""


def test_a_missing_credential_is_explained(tmp_path):
    config = pristo_job(tmp_path, 5)
    ended = backfill(
        "run", config, "--base-url", "http://127.0.0.1:9", cwd=tmp_path, expect=[2],
        PRISTO_API_KEY="",
    )  # fmt: skip
    assert "PRISTO_API_KEY" in ended.err


def test_a_source_that_changed_is_refused_after_sending_and_planned_anew_before(tmp_path):
    config = pristo_job(tmp_path, 30)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    frame = pl.read_parquet(tmp_path / "events.parquet")
    frame.head(20).write_parquet(tmp_path / "events.parquet")
    with running_sandbox() as server:
        run = ["run", config, "--json", "--base-url", server.url]
        refused = backfill(*run, cwd=tmp_path, expect=[10])
        assert "events.parquet" in refused.err
        assert "events.parquet" in refused.json["error"]["message"]
        planned = backfill("plan", config, "--json", cwd=tmp_path, expect=[0]).json
        assert planned["records"]["input"] == 20
        backfill(*run, "--limit", "5", cwd=tmp_path, expect=[8])
        frame.head(10).write_parquet(tmp_path / "events.parquet")
        for command in (["plan", config], run):
            assert "delivered_by" in backfill(*command, cwd=tmp_path, expect=[10]).err
        assert len(server.accepted) == 5


def test_a_configuration_that_changed_is_refused_and_named(tmp_path):
    config = pristo_job(tmp_path, 10)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    config.write_text(config.read_text().replace('"order_no"', '"event"'))
    ended = backfill("run", config, "--base-url", "http://127.0.0.1:9", cwd=tmp_path, expect=[10])
    assert "[fields] customFields.order" in ended.err


def test_delivery_settings_may_change_between_runs(tmp_path):
    config = pristo_job(tmp_path, 20)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    config.write_text(config.read_text() + "concurrency = 3\n")
    with running_sandbox() as server:
        backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[0])


def test_two_runs_of_one_job_do_not_meet(tmp_path):
    config = pristo_job(tmp_path, 2_000, delivery="concurrency = 2")
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox(latency=0.1) as server:
        run = ["run", config, "--base-url", server.url]
        first = start(*run, cwd=tmp_path)
        try:
            deadline = time.monotonic() + 30
            while not server.accepted:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            ended = backfill(*run, "--json", cwd=tmp_path, expect=[11])
            assert "another process" in ended.err
            assert ended.json["exit_code"] == 11
            status = backfill("status", config, "--json", cwd=tmp_path, expect=[0]).json
            assert status["phase"] == "running"
            assert status["records"]["unknown"] == 0
            assert balanced(status)
        finally:
            first.send_signal(signal.SIGINT)
            first.communicate(timeout=30)


def test_failed_records_are_listed_retried_and_delivered(tmp_path):
    config = pristo_job(tmp_path, 40, delivery='max_errors = "100%"')

    def refuse_some(arrival):
        return "422" if arrival.number % 4 == 0 else None

    with running_sandbox(faults=refuse_some) as server:
        run = ["run", config, "--json", "--base-url", server.url]
        ended = backfill(*run, cwd=tmp_path, expect=[3]).json
        assert ended["records"]["failed"] == 10
        backfill(
            "records", config, "--state", "failed", "-o", tmp_path / "failed.csv", cwd=tmp_path
        )
        failed = pl.read_csv(tmp_path / "failed.csv")
        assert failed.columns == [
            "_file", "_row", "_state", "_reason", "_http_status", "_request_id",
            "user_id", "event", "at", "order_no",
        ]  # fmt: skip
        assert set(failed["_http_status"]) == {422}
        assert failed["_row"].is_sorted()
        retried = backfill("retry", config, cwd=tmp_path, expect=[0])
        assert "10" in retried.out
    with running_sandbox() as server:
        run = ["run", config, "--json", "--base-url", server.url]
        assert backfill(*run, cwd=tmp_path, expect=[0]).json["records"]["delivered"] == 40


@pytest.mark.parametrize(
    ("option", "state"),
    [("--resend", "pending"), ("--delivered", "delivered"), ("--failed", "failed")],
)
def test_unknown_records_are_settled_by_hand(tmp_path, option, state):
    config = pristo_job(tmp_path, 12, contacts=12)

    def cut_one(arrival):
        return "cut-after" if arrival.number == 3 else None

    with running_sandbox(faults=cut_one) as server:
        run = ["run", config, "--json", "--base-url", server.url]
        ended = backfill(*run, cwd=tmp_path, expect=[5]).json
    assert ended["records"]["unknown"] == 1
    assert "unknown" in ended["next"]
    for options in ([], ["--resend", "--failed"]):
        backfill("resolve", config, *options, cwd=tmp_path, expect=[2])
    backfill("resolve", config, option, cwd=tmp_path, expect=[0])
    content = backfill("status", config, "--json", cwd=tmp_path, expect=[0]).json
    assert content["records"]["unknown"] == 0
    assert content["records"][state] >= 1
    assert balanced(content)


@pytest.mark.parametrize("named", ["pristo.job", "pristo.toml"])
def test_what_an_earlier_job_delivered_is_left_out(tmp_path, named):
    config = pristo_job(tmp_path, 50)
    with running_sandbox() as server:
        backfill("run", config, "--base-url", server.url, "--limit", "20", cwd=tmp_path, expect=[8])
        later = tmp_path / "later.toml"
        text = config.read_text().replace(
            "[delivery]", f'[dedupe]\ndelivered_by = ["{named}"]\n[delivery]'
        )
        later.write_text(text)
        ended = backfill(
            "run", later, "--json", "--base-url", server.url, cwd=tmp_path, expect=[0]
        ).json
        assert ended["records"]["duplicate"] == 20
        assert ended["records"]["delivered"] == 30
        orders = [each.record["customFields"]["order"] for each in server.accepted]
    assert sorted(orders) == sorted(f"order-{number}" for number in range(50))


def test_the_last_job_of_a_chain_knows_what_all_of_them_delivered(tmp_path):
    config = pristo_job(tmp_path, 30)
    text = config.read_text()
    with running_sandbox() as server:
        run = ["--json", "--base-url", server.url]
        backfill("run", config, *run, "--limit", "12", cwd=tmp_path, expect=[8])
        earlier, ended = "pristo.job", {}
        for name, limit in (("second", ["--limit", "5"]), ("third", []), ("fourth", [])):
            later = tmp_path / f"{name}.toml"
            dedupe = f'[dedupe]\ndelivered_by = ["{earlier}"]\n[delivery]'
            later.write_text(text.replace("[delivery]", dedupe))
            ended = backfill("run", later, *run, *limit, cwd=tmp_path, expect=[0, 8]).json
            earlier = f"{name}.job"
        assert ended["records"]["duplicate"] == 30
        orders = [each.record["customFields"]["order"] for each in server.accepted]
    assert sorted(orders) == sorted(f"order-{number}" for number in range(30))
    assert not [
        name for name in open_job(tmp_path / "third.job").duplicates.columns if "__" in name
    ]


def test_the_job_is_its_owners_alone(tmp_path):
    config = pristo_job(tmp_path, 5)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    job = tmp_path / "pristo.job"
    assert job.stat().st_mode & 0o777 == 0o700
    loose = [path for path in job.rglob("*") if path.stat().st_mode & 0o077]
    assert loose == []
    assert {
        "manifest.json",
        "ready",
        "excluded.parquet",
        "rejected.parquet",
        "duplicates.parquet",
        "ledger.sqlite",
    } <= {path.name for path in job.iterdir()}


def test_a_directory_of_something_else_is_not_planned_into(tmp_path):
    config = pristo_job(tmp_path, 5)
    ended = backfill("plan", config, "--job", tmp_path, cwd=tmp_path, expect=[2])
    assert "no job" in ended.err
    assert (tmp_path / "events.parquet").exists()


def test_a_ledger_that_is_gone_is_no_reason_to_send_everything_again(tmp_path):
    config = pristo_job(tmp_path, 5)
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url]
        backfill(*run, cwd=tmp_path, expect=[0])
        (tmp_path / "pristo.job" / "ledger.sqlite").unlink()
        backfill(*run, cwd=tmp_path, expect=[1])
        assert len(server.accepted) == 5


def test_a_manifest_that_is_gone_is_no_reason_either(tmp_path):
    config = pristo_job(tmp_path, 5)
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url]
        backfill(*run, cwd=tmp_path, expect=[0])
        (tmp_path / "pristo.job" / "manifest.json").unlink()
        ended = backfill(*run, cwd=tmp_path, expect=[2])
        assert "ledger says that records were sent" in ended.err
        assert len(server.accepted) == 5


def test_books_that_do_not_balance_are_told_loudly(tmp_path):
    config = pristo_job(tmp_path, 50)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    ready = next((tmp_path / "pristo.job" / "ready").iterdir())
    pl.read_parquet(ready).head(3).write_parquet(ready)
    for command in ("status", "run"):
        ended = backfill(command, config, cwd=tmp_path)
        assert ended.code != 0
        assert "DO NOT BALANCE" in ended.err


def test_a_project_can_be_moved_with_its_job(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    (before / "exports").mkdir(parents=True)
    config = pristo_job(before, 20)
    (before / "events.parquet").rename(before / "exports" / "events.parquet")
    config.write_text(config.read_text().replace('"events.parquet"', '"exports/events.parquet"'))
    with running_sandbox() as server:
        run = ["--json", "--base-url", server.url]
        backfill("run", config, *run, "--limit", "5", cwd=before, expect=[8])
        before.rename(after)
        backfill("run", "pristo.job", *run, "--limit", "5", cwd=after, expect=[8])
        ended = backfill("run", after / "pristo.toml", *run, cwd=tmp_path, expect=[0]).json
        assert ended["records"]["delivered"] == len(server.accepted) == 20


def test_a_job_whose_source_cannot_be_reached_goes_on_from_what_it_has_prepared(tmp_path):
    config = pristo_job(tmp_path, 20)
    with running_sandbox() as server:
        to = ["--base-url", server.url]
        backfill("run", config, *to, "--limit", "5", cwd=tmp_path, expect=[8])
        (tmp_path / "events.parquet").unlink()
        ended = backfill("run", "pristo.job", *to, cwd=tmp_path, expect=[0])
        assert "events.parquet could not be checked for changes" in ended.err
        assert len(server.accepted) == 20


def test_a_file_that_is_gone_from_among_others_is_called_gone_before_anything_is_sent(tmp_path):
    config = pristo_job(tmp_path, 20)
    config.write_text(config.read_text().replace('"events.parquet"', '"events*.parquet"'))
    shutil.copy(tmp_path / "events.parquet", tmp_path / "events-2.parquet")
    with running_sandbox() as server:
        to = ["--base-url", server.url]
        backfill("run", config, *to, "--limit", "5", cwd=tmp_path, expect=[8])
        (tmp_path / "events-2.parquet").unlink()
        ended = backfill("run", "pristo.job", *to, cwd=tmp_path, expect=[10])
        assert "events-2.parquet is gone" in ended.err
        assert "Sending" not in ended.err


def test_a_broken_configuration_hides_no_job_and_runs_none(tmp_path):
    config = pristo_job(tmp_path, 20)
    backfill("plan", config, cwd=tmp_path, expect=[0])
    config.write_text("destination = ")
    look = [("status",), ("records", "-o", "records.csv"), ("retry",), ("resolve", "--resend")]
    for command, *more in look:
        backfill(command, "pristo.job", *more, cwd=tmp_path, expect=[0])
    for name in ("pristo.job", config):
        run = backfill("run", name, "--base-url", "http://127.0.0.1:9", cwd=tmp_path, expect=[2])
        assert "is not TOML" in run.err


def test_a_file_that_comes_to_a_glob_after_the_plan_is_noticed(tmp_path):
    config = pristo_job(tmp_path, 20)
    config.write_text(config.read_text().replace('"events.parquet"', '"event*.parquet"'))
    backfill("plan", config, cwd=tmp_path, expect=[0])
    frame = pl.read_parquet(tmp_path / "events.parquet")
    frame.head(3).write_parquet(tmp_path / "events-2.parquet")
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url]
        assert "events-2.parquet is new" in backfill(*run, cwd=tmp_path, expect=[10]).err
        planned = backfill("plan", config, "--json", cwd=tmp_path, expect=[0]).json
        assert planned["records"]["input"] == 23
        backfill(*run, "--limit", "5", cwd=tmp_path, expect=[8])
        backfill("records", config, "-o", "events-out.parquet", cwd=tmp_path, expect=[0])
        backfill(*run, "--limit", "5", cwd=tmp_path, expect=[8])  # its own rows are no source
        frame.head(1).write_parquet(tmp_path / "events-3.parquet")
        for command in (["plan", config], run):
            assert "events-3.parquet is new" in backfill(*command, cwd=tmp_path, expect=[10]).err


@pytest.mark.parametrize("files", ["data", "data/**/*.parquet"])
def test_a_job_may_lie_among_its_own_sources(tmp_path, files):
    config = pristo_job(tmp_path, 20)
    config.write_text(config.read_text().replace('"events.parquet"', f'"{files}"'))
    (tmp_path / "data").mkdir()
    (tmp_path / "events.parquet").rename(tmp_path / "data" / "events.parquet")
    job = ["--job", tmp_path / "data" / "pristo.job", "--json"]
    with running_sandbox() as server:
        backfill("plan", config, *job, cwd=tmp_path, expect=[0])
        run = ["run", config, *job, "--base-url", server.url]
        backfill(*run, "--limit", "5", cwd=tmp_path, expect=[8])
        ended = backfill(*run, cwd=tmp_path, expect=[0]).json
    assert ended["records"]["input"] == ended["records"]["delivered"] == 20


def test_a_directory_that_is_no_job_is_left_as_it_is(tmp_path):
    config = pristo_job(tmp_path, 5)
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    (other / "letter.txt").write_text("Dear all")
    ended = backfill("plan", config, "--job", other, cwd=tmp_path, expect=[2])
    assert "letter.txt" in ended.err
    assert [path.name for path in other.iterdir()] == ["letter.txt"]
    assert other.stat().st_mode & 0o777 == 0o755


def test_an_interrupted_plan_says_how_to_go_on(tmp_path):
    config = pristo_job(tmp_path, 400_000)
    process = start("plan", config, "--json", cwd=tmp_path)
    while not (tmp_path / "pristo.job" / ".preparing").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == f"interrupted; resume with: backfill plan {config} --json"
    assert json.loads(out)["exit_code"] == 130


def test_a_server_that_was_never_reached_freezes_no_plan(tmp_path):
    config = pristo_job(tmp_path, 5)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    config.write_text(config.read_text() + 'patience = "1s"\n')
    assert backfill("run", config, "--json", "--base-url", url, cwd=tmp_path, expect=[7]).json[
        "requests"
    ]["sent"]
    config.write_text(config.read_text().replace('"order_no"', '"event"'))
    backfill("plan", config, cwd=tmp_path, expect=[0])
    with running_sandbox() as server:
        run = ["run", config, "--base-url", server.url]
        backfill(*run, "--limit", "2", cwd=tmp_path, expect=[8])
        config.write_text(config.read_text().replace('"event"', '"order_no"'))
        backfill(*run, cwd=tmp_path, expect=[10])


def test_a_stop_for_errors_says_what_to_look_at_and_a_decision_forgets_it(tmp_path):
    config = pristo_job(tmp_path, 40, delivery="max_errors = 3")
    with running_sandbox(faults=lambda _: "422") as server:
        ended = backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[4])
    assert "Look at them first: backfill records " in ended.out
    assert "Next: backfill run" in ended.out
    retried = backfill("retry", config, cwd=tmp_path, expect=[0])
    assert "Stopped" not in retried.out
    assert "Next: backfill run" in retried.out


def test_an_earlier_job_that_is_not_finished_is_noted(tmp_path):
    config = pristo_job(tmp_path, 30)
    with running_sandbox() as server:
        backfill("run", config, "--base-url", server.url, "--limit", "12", cwd=tmp_path, expect=[8])
    later = tmp_path / "later.toml"
    dedupe = '[dedupe]\ndelivered_by = ["pristo.toml"]\n[delivery]'
    later.write_text(config.read_text().replace("[delivery]", dedupe))
    warnings = backfill("plan", later, "--json", cwd=tmp_path, expect=[0]).json["plan"]["warnings"]
    assert [each for each in warnings if "18 records are not delivered by pristo.toml" in each]


def test_records_without_a_time_are_noted(tmp_path):
    (tmp_path / "e.csv").write_text("p,at\n+12025550143,2024-01-01\n+12025550144,\n")
    (tmp_path / "c.toml").write_text(
        """destination = "watch-events"
[events]
files = "e.csv"
time = "at"
timezone = "UTC"
[fields]
"target.value" = "p"
label = { value = "seen" }
confidence = { value = "low" }
"""
    )
    planned = backfill("plan", "c.toml", "--json", cwd=tmp_path, expect=[0]).json
    untimed, of_watch = planned["plan"]["warnings"]
    assert untimed == "1 record has no time, and so the last place among those of the same key"
    assert of_watch.startswith("Watch takes no timestamp")
    assert of_watch in package_job(tmp_path / "c.job")._repr_html_()
    told = backfill("plan", "c.toml", cwd=tmp_path, expect=[0]).out
    assert told.count("Watch takes no timestamp") == 1
