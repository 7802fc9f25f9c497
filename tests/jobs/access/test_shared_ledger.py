"""A job whose ledger lies in PostgreSQL: planned, delivered, looked at and settled as ever."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import psycopg
import pytest

import backfill
from backfill.config import load_config
from backfill.core.errors import (
    BackfillError,
    BusyError,
    ChangedError,
    ConfigError,
    JobError,
    LedgerError,
)
from backfill.core.model import State
from backfill.core.secret import Secret
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobs import opening
from backfill.jobs.access.shared_ledger import delivering
from backfill.jobs.job import Job
from backfill.jobs.running.surroundings import Surroundings
from backfill.ledger.sharing import Terms
from backfill.prepare import pipeline
from tests.acceptance.sources import pristo_job
from tests.ledger.places import PostgresPlace

ROWS = 60


class Server(httpx.AsyncBaseTransport):
    """Stores what it is sent, after refusing the first few."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.refusing = 0
        self.asked: Callable[[], None] = lambda: None  # called with each request

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        record = json.loads(await request.aread())
        self.asked()
        if self.refusing:
            self.refusing -= 1
            return httpx.Response(400, json={"code": "bad_request"})
        self.stored.append(record["customFields"]["order"])
        content = {"ok": True, "status": 201, "statusText": "Created", "body": None, "raw": ""}
        return httpx.Response(201, json=content)


def planned_in_few_parts(config: Path, directory: Path) -> Job:
    """Plan a job for several machines in less time than all the parts take that it would have."""
    with mock.patch.object(pipeline, "_SHARED", 6):
        return opening.plan_job(load_config(config), directory)


class Machine:
    """A place with a configuration, whose storage and database others may share."""

    def __init__(self, place: Path, storage: Path, database: str) -> None:
        place.mkdir(exist_ok=True)
        storage.mkdir(exist_ok=True)
        self.store = Server()
        self.config = pristo_job(place, ROWS, contacts=12)
        with self.config.open("a", encoding="utf-8") as file:
            file.write(f'[cluster]\nstorage = "{storage}"\nledger = "{database}"\nlease = "1s"\n')
        self.directory = storage / "pristo.job"

    def run(self, job: Job, **changes: Any) -> Any:
        job.surroundings = Surroundings(transport=self.store, shared=False)
        given = {"base_url": "http://127.0.0.1:1", "timeout": "1s", **changes}
        return job.run(credential=Secret("invented"), **given)

    def plan(self) -> Job:
        return planned_in_few_parts(self.config, self.directory)


@pytest.fixture
def machine(tmp_path, postgres) -> Iterator[Machine]:
    machine = Machine(tmp_path / "one", tmp_path / "jobs", postgres.address)
    yield machine
    place = LedgerPlace.read(machine.directory) if machine.directory.exists() else None
    if place is not None:
        PostgresPlace(place.database, place.schema).drop()


def place_of(directory: Path) -> LedgerPlace:
    place = LedgerPlace.read(directory)
    assert place is not None
    return place


def schemas(database: str) -> set[str]:
    with psycopg.connect(database) as raw:
        found = raw.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'backfill_%'")
        return {name for (name,) in found}


def test_a_plan_makes_the_ledger_in_the_database_and_the_directory_names_it(machine) -> None:
    job = opening.plan_job(load_config(machine.config), machine.directory)
    assert job.directory == machine.directory
    assert not (machine.directory / "ledger.sqlite").exists()
    assert place_of(machine.directory).schema in schemas(place_of(machine.directory).database)
    assert job.status().phase == "planned"
    assert opening.open_job(machine.config).directory == machine.directory
    assert len(job.manifest.buckets) > 6, "enough for several machines"


def test_it_is_delivered_and_looked_at_from_another_machine(machine, tmp_path, postgres) -> None:
    status = machine.run(machine.plan(), limit=20)
    assert (status.phase, status.exit_code, status.books.delivered) == ("stopped", 8, 20)
    other = Machine(tmp_path / "two", tmp_path / "jobs", postgres.address)
    seen = backfill.open_job(machine.directory)
    before = {path: path.read_bytes() for path in machine.directory.rglob("*") if path.is_file()}
    assert seen.status().books == status.books
    assert seen.records("delivered").height == 20
    assert seen.report(tmp_path / "report.html")
    assert seen.show(1).state in (State.DELIVERED, State.PENDING)
    assert before == {
        path: path.read_bytes() for path in machine.directory.rglob("*") if path.is_file()
    }
    finished = other.run(opening.open_job(machine.directory))
    assert (finished.phase, finished.exit_code) == ("complete", 0)
    assert len(machine.store.stored) + len(other.store.stored) == ROWS
    assert not set(machine.store.stored) & set(other.store.stored)


def test_records_are_settled_by_hand_from_anywhere(machine) -> None:
    machine.store.refusing = 10
    status = machine.run(machine.plan(), max_errors="100%")
    assert status.books.failed == 10
    there = opening.open_job(machine.directory)
    assert there.retry(status=400) == 10
    assert there.status().books.pending == 10
    there.abandon()
    assert there.status().phase == "abandoned"
    with pytest.raises(JobError, match="abandoned"):
        machine.run(there)


def test_what_is_said_of_the_pace_stands_in_the_ledger(machine) -> None:
    job = machine.plan()
    job.pace(rate="7/s", concurrency=3)
    there = opening.open_job(machine.directory)
    assert there.settings({}).rate == 7.0
    assert there.settings({}).concurrency == 3
    assert not (machine.directory / "pace.json").exists()
    there.pace(pause=True)
    assert job.status().paused


def test_nobody_decides_beside_a_deliverer_and_looking_says_that_it_runs(machine) -> None:
    text = machine.config.read_text()
    machine.config.write_text(text.replace('lease = "1s"', 'lease = "60s"'))
    job = machine.plan()
    with delivering(place_of(machine.directory), job.config, timeout=30) as ledger:
        ledger.budget.join(Terms())
        assert job.status().phase == "running"
        for decide in (job.retry, job.abandon, lambda: job.resolve("failed")):
            with pytest.raises(BusyError, match="another process works on this job"):
                decide()


def test_a_plan_anew_leaves_no_old_ledger_behind(machine) -> None:
    machine.plan()
    old = place_of(machine.directory)
    text = machine.config.read_text()
    machine.config.write_text(text.replace('"type" = "event"', '"type" = { value = "again" }'))
    machine.plan()
    new = place_of(machine.directory)
    assert new.schema != old.schema
    assert old.schema not in schemas(new.database)
    machine.run(machine.plan(), limit=3)
    machine.config.write_text(text)
    with pytest.raises(BackfillError, match="configuration changed"):
        machine.plan()


def test_another_configuration_of_the_same_name_does_not_take_the_job(machine, tmp_path) -> None:
    planned = machine.plan()
    other = Machine(tmp_path / "two", tmp_path / "jobs", machine_database(machine))
    assert other.directory == machine.directory
    assert other.plan().manifest == planned.manifest, "the same, from another machine's copy of it"
    text = other.config.read_text()
    other.config.write_text(text.replace('"type" = "event"', '"type" = { value = "again" }'))
    with pytest.raises(ChangedError, match="the job of another configuration") as caught:
        other.plan()
    assert str(machine.config) in caught.value.message
    assert str(other.config) in str(caught.value.hint)
    assert "--job" in str(caught.value.hint)
    with pytest.raises(ChangedError, match="the job of another configuration"):
        opening.find_or_plan(other.config)
    own = opening.plan_job(load_config(other.config), machine.directory.with_name("own.job"))
    assert own.manifest.created != planned.manifest.created
    machine.config.unlink()
    assert other.plan().status().phase == "planned", "nobody else's any more"
    PostgresPlace(machine_database(other), place_of(own.directory).schema).drop()


def test_a_plan_that_fails_leaves_no_ledger_behind(machine, monkeypatch) -> None:
    before = schemas(machine_database(machine))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backfill.jobs.planning._put_in_place", full)
    with pytest.raises(BackfillError, match="No space left"):
        machine.plan()
    assert schemas(machine_database(machine)) == before


def machine_database(machine: Machine) -> str:
    config = load_config(machine.config)
    assert config.cluster is not None
    return config.cluster.ledger


def test_an_error_that_not_even_the_ledger_can_be_told_is_raised_all_the_same(
    machine, monkeypatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LedgerError("the database is away")

    async def refuse(*_: object, **__: object) -> None:
        raise BackfillError("the object store is away")

    job = machine.plan()
    monkeypatch.setattr("backfill.jobs.running.delivering.record_end", broken)
    monkeypatch.setattr("backfill.deliver.deliver", refuse)
    with pytest.raises(BackfillError, match="the object store is away"):
        machine.run(job)


def test_a_storage_that_is_another_one_on_this_machine_is_noticed(machine, tmp_path) -> None:
    """Its directory is not there, though the database knows that something of it was sent."""
    machine.run(machine.plan(), limit=3)
    place, content = place_of(machine.directory), (machine.directory / "ledger.json").read_bytes()
    hidden = machine.directory.rename(tmp_path / "elsewhere.job")
    with pytest.raises(JobError, match="knows a job in this place, and it is not here") as caught:
        machine.plan()
    assert f'DROP SCHEMA "{place.schema}" CASCADE' in str(caught.value)
    assert not machine.directory.exists()
    hidden.rename(machine.directory)
    assert (machine.directory / "ledger.json").read_bytes() == content
    assert machine.plan().status().books.delivered == 3


def test_a_job_of_which_nothing_was_sent_is_forgotten_with_its_directory(machine, tmp_path) -> None:
    machine.plan()
    old = place_of(machine.directory)
    machine.directory.rename(tmp_path / "elsewhere.job")
    machine.plan()
    assert old.schema not in schemas(old.database)


def test_another_ledger_than_the_jobs_is_refused(machine) -> None:
    machine.run(machine.plan(), limit=3)
    text = machine.config.read_text()
    machine.config.write_text(text.replace("/postgres", "/postgres?application_name=x"))
    for use in (lambda: machine.run(opening.open_job(machine.config)), machine.plan):
        with pytest.raises(ConfigError, match=r"the job's ledger is in .*, and the configuration"):
            use()
    machine.config.write_text(text.replace('lease = "1s"', 'lease = "5s"'))
    assert machine.run(opening.open_job(machine.config)).phase == "complete"


def test_a_job_of_one_machine_is_not_taken_for_one_of_several(machine, tmp_path) -> None:
    text = machine.config.read_text()
    machine.config.write_text(text.partition("[cluster]")[0])
    machine.plan()
    opened = opening.open_job(machine.directory)
    machine.run(opened, limit=3)
    machine.config.write_text(text)
    with pytest.raises(ConfigError, match="planned for one machine"):
        machine.run(opening.open_job(machine.directory))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("/postgres", "/nowhere"), 'there is no such database .*"nowhere" does not exist'),
        (("/postgres", "/postgres?options=-csynchronous_commit%3Doff"), "synchronous_commit is of"),
        (("/postgres", "/postgres?options=-cdefault_transaction_read_only%3Don"), "only be read"),
        (("backfill@127.0.0.1", "backfill@127.0.0.1.invalid"), "the database cannot be reached"),
        (("backfill@", "stranger@"), 'lets nobody in here .*"stranger" does not exist'),
    ],
)
def test_a_database_that_will_not_do_is_told_before_anything_is_sent(
    machine, change, words
) -> None:
    machine.config.write_text(machine.config.read_text().replace(*change))
    with pytest.raises(BackfillError, match=words) as caught:
        machine.plan()
    assert "free space" not in str(caught.value)
    assert not (machine.directory / "manifest.json").exists()
    assert not machine.store.stored


def test_what_the_database_refuses_to_a_plan_is_told_with_what_helps_there(
    machine, postgres
) -> None:
    """Found from outside: the hint was about the disk of this machine."""
    with psycopg.connect(postgres.address, autocommit=True) as raw:
        raw.execute("CREATE ROLE newcomer LOGIN")
    text = machine.config.read_text()
    machine.config.write_text(text.replace("backfill@127", "newcomer@127"))
    with pytest.raises(BackfillError, match="cannot be written: this user lacks a right") as caught:
        machine.plan()
    assert "GRANT CREATE ON DATABASE" in str(caught.value)
    assert "free space" not in str(caught.value)


@pytest.mark.parametrize("shared", [True, False], ids=["postgres", "sqlite"])
def test_a_run_whose_files_go_away_in_the_middle_is_told_by_a_look(machine, shared) -> None:
    """Found from outside: its exit code was 0 in `status`, with most records pending."""
    if not shared:
        machine.config.write_text(machine.config.read_text().partition("[cluster]")[0])
    job = machine.plan()
    ready, away = machine.directory / "ready", machine.directory.parent / "away"

    def unmount() -> None:
        machine.store.asked = lambda: None
        ready.rename(away)

    machine.store.asked = unmount
    with pytest.raises(JobError, match="cannot be read"):
        machine.run(job, concurrency=1)
    away.rename(ready)
    status = job.status()
    assert (status.phase, status.exit_code) == ("stopped", 2)
    assert status.ended_at is not None
    assert status.stop is not None
    assert "cannot be read" in status.stop.message
    assert status.books.pending > 0
    assert machine.run(job).exit_code == 0


def test_a_newer_ledger_and_one_that_is_gone_are_told(machine) -> None:
    job = machine.plan()
    place = PostgresPlace(place_of(job.directory).database, place_of(job.directory).schema)
    place.tamper("UPDATE version SET number = 99")
    for use in (job.status, lambda: machine.run(job)):
        with pytest.raises(LedgerError, match="version 99"):
            use()
    place.tamper("DROP TABLE version")
    with pytest.raises(LedgerError, match="the ledger is missing"):
        job.status()


def test_without_the_extra_the_words_name_it(machine, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("backfill.ledger.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        machine.plan()
    assert "pip install 'backfill[postgres]'" in str(caught.value)


def test_a_storage_that_is_not_there_is_told(machine, tmp_path) -> None:
    text = machine.config.read_text()
    machine.config.write_text(text.replace(str(tmp_path / "jobs"), str(tmp_path / "unmounted")))
    with pytest.raises(ConfigError, match="is no directory on this machine"):
        opening.open_job(machine.config)
    assert not (tmp_path / "unmounted").exists()


def test_a_password_comes_from_a_file_that_the_environment_names(
    machine, tmp_path, monkeypatch
) -> None:
    job = machine.plan()
    monkeypatch.setenv("PGPASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(ConfigError, match="PGPASSWORD_FILE"):
        job.status()
    (tmp_path / "secret").write_text("invented\n")
    assert job.status().phase == "planned"


def test_the_place_of_a_ledger_that_cannot_be_read_is_named(machine) -> None:
    job = machine.plan()
    known = (job.directory / "ledger.json").read_text()
    (job.directory / "ledger.json").write_text(json.dumps({"database": 5}))
    with pytest.raises(JobError, match="where the ledger lies cannot be read"):
        job.status()
    (job.directory / "ledger.json").write_text(known)
