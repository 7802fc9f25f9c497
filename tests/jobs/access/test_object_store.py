"""A job that lies in an object store: planned, delivered and looked at as in a directory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import backfill
from backfill.config import load_config
from backfill.core.errors import BackfillError, ConfigError, JobError
from backfill.core.job_files import PUBLISHED
from backfill.core.model import State
from backfill.core.secret import Secret
from backfill.jobdir.copies import publish, refresh
from backfill.jobdir.job_paths import job_directory
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.manifest import Manifest, fingerprint
from backfill.jobdir.object_storage import ObjectStorage
from backfill.jobdir.store_addresses import address_of, copy_of
from backfill.jobs import opening, planning
from backfill.jobs.chain.rest import directory_for_rest
from backfill.jobs.job import Job
from backfill.jobs.running.surroundings import Surroundings
from backfill.prepare.engines.dask_engine import DaskEngine
from backfill.prepare.engines.opening import engine_on
from backfill.sources import object_stores
from tests.acceptance.program import backfill as program
from tests.acceptance.sources import pristo_job
from tests.jobs.access.test_shared_ledger import ROWS, Server, planned_in_few_parts, schemas
from tests.ledger.places import PostgresPlace


class Machines:
    """A configuration whose storage is a bucket, and machines with a cache each."""

    def __init__(
        self, place: Path, bucket: str, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.place, self.bucket, self.database = place, bucket, database
        self.store = Server()
        self._monkeypatch = monkeypatch
        self.config = self.configuration("pristo")
        self.address = f"{bucket}/jobs/pristo.job"
        self.at("one")

    def configuration(self, name: str, more: str = "") -> Path:
        delivery = 'base_url = "http://127.0.0.1:1"\ntimeout = "1s"'
        config = pristo_job(self.place, ROWS, contacts=12, delivery=delivery)
        text = config.read_text(encoding="utf-8")
        cluster = f'storage = "{self.bucket}/jobs"\nledger = "{self.database}"\nlease = "1s"\n'
        path = self.place / f"{name}.toml"
        path.write_text(f"{text}[cluster]\n{cluster}{more}", encoding="utf-8")
        return path

    def at(self, machine: str) -> None:
        """Go on at another machine."""
        self._monkeypatch.setenv("XDG_CACHE_HOME", str(self.place / "caches" / machine))

    def plan(self, config: Path | None = None) -> Job:
        config = config or self.config
        return planned_in_few_parts(config, job_directory(config))

    def run(self, job: Job, **changes: Any) -> backfill.Status:
        job.surroundings = Surroundings(transport=self.store, shared=False)
        return job.run(credential=Secret("invented"), **changes)

    def change(self) -> None:
        """Have the configuration give other records."""
        text = self.config.read_text()
        self.config.write_text(text.replace('"type" = "event"', '"type" = { value = "again" }'))

    def names(self, address: str | None = None) -> list[str]:
        return sorted(ObjectStorage(address or self.address).names(""))


@pytest.fixture
def machines(tmp_path, bucket, postgres, monkeypatch) -> Iterator[Machines]:
    before = schemas(postgres.address)
    yield Machines(tmp_path, bucket, postgres.address, monkeypatch)
    for schema in schemas(postgres.address) - before:
        PostgresPlace(postgres.address, schema).drop()


def test_what_one_machine_planned_and_began_another_one_finishes(machines) -> None:
    job = machines.plan()
    assert address_of(job.directory) == machines.address
    assert "job.json" in machines.names()
    assert machines.run(job, limit=20).books.delivered == 20
    machines.at("two")
    seen = opening.open_job(machines.address)
    assert seen.status().books.delivered == 20
    there = copy_of(machines.address)
    assert there is not None
    assert not (there / "ready").exists(), "a look copies no records"
    finished = machines.run(opening.open_job(machines.config))
    assert (finished.phase, finished.exit_code) == ("complete", 0)
    assert len(set(machines.store.stored)) == len(machines.store.stored) == ROWS
    machines.at("one")
    assert machines.run(job).phase == "complete"


def test_all_that_looks_sees_the_same_from_a_machine_that_has_nothing(machines) -> None:
    machines.store.refusing = 3
    machines.run(machines.plan(), max_errors="100%")
    machines.at("two")
    for number, name in enumerate((machines.config, machines.address)):
        target = machines.place / f"records-{number}.csv"
        ended = program("records", name, "-o", target, cwd=machines.place, expect=(0,))
        assert not ended.err.count("Error")
        assert len(target.read_text().splitlines()) == ROWS + 1
    program("report", machines.address, cwd=machines.place, expect=(0,))
    assert (machines.place / "pristo-report.html").exists()
    job = opening.open_job(machines.address)
    assert (job.rejected.height, job.duplicates.height, job.excluded.height) == (0, 0, 0)
    assert job.show(1).state in (State.DELIVERED, State.FAILED)
    assert job.sample(2).height == 2
    said = program("pace", machines.address, "--rate", "7/s", cwd=machines.place, expect=(0,))
    assert said.out.startswith(f"{machines.address}: 7")
    pace = program("pace", machines.address, "--json", cwd=machines.place, expect=(0,)).json
    assert pace["job"] == machines.address
    program("retry", machines.address, cwd=machines.place, expect=(0,))
    status = program("status", machines.address, "--json", cwd=machines.place, expect=(0,)).json
    assert status["records"]["pending"] == 3
    assert machines.run(opening.open_job(machines.address)).phase == "complete"


def test_a_plan_anew_takes_the_place_of_the_old_one_everywhere(machines) -> None:
    machines.plan()
    before = schemas(machines.database)
    machines.at("two")
    old = opening.open_job(machines.config)
    assert old.records().height == ROWS, "which copies its files"
    machines.at("one")
    machines.change()
    new = machines.plan()
    assert len(schemas(machines.database)) == len(before)
    place = LedgerPlace.read(new.directory)
    assert place is not None
    assert {name.split("/")[1] for name in machines.names() if "/" in name} == {place.schema}
    machines.at("two")
    seen = opening.open_job(machines.config)
    assert seen.manifest.created == new.manifest.created
    assert '"type":"again"' in str(seen.sample(1)["body"][0]).replace(" ", "")
    machines.run(seen, limit=2)
    machines.at("one")
    machines.config.write_text(machines.config.read_text().replace("again", "once more"))
    with pytest.raises(BackfillError, match="configuration changed"):
        machines.plan()


def test_of_two_that_plan_at_once_without_a_turn_one_has_the_job(machines, monkeypatch) -> None:
    monkeypatch.setattr(opening, "planning_turn", lambda *_: nullcontext(lambda: None))
    others: list[Job] = []

    def later(directory: Path, manifest: Path) -> None:
        monkeypatch.setattr(planning, "publish", publish)
        machines.at("two")
        others.append(machines.plan())
        machines.at("one")
        publish(directory, manifest)

    monkeypatch.setattr(planning, "publish", later)
    with pytest.raises(JobError, match="another process planned a job here meanwhile"):
        machines.plan()
    job = opening.open_job(machines.config)
    assert job.manifest.created == others[0].manifest.created
    assert machines.run(job).phase == "complete"


def test_the_rest_of_a_job_and_a_job_after_it_lie_in_the_store_as_well(machines) -> None:
    machines.run(machines.plan(), limit=15)
    machines.at("two")
    place = directory_for_rest(machines.config, job_directory(machines.address))
    assert address_of(place) == f"{machines.bucket}/jobs/pristo-rest.job"
    rest = opening.plan_job(load_config(machines.config), place, rest_of=machines.address)
    assert rest.manifest.ready == ROWS - 15
    assert rest.manifest.rest is not None
    assert rest.manifest.rest.name == machines.address
    machines.at("three")
    assert machines.run(opening.open_job(f"{machines.bucket}/jobs/pristo-rest.job")).exit_code == 0
    given_up = opening.open_job(machines.address)
    assert given_up.status().phase == "abandoned"
    with pytest.raises(JobError) as refused:
        machines.run(given_up)
    assert refused.value.where == machines.address
    assert f"backfill status {machines.bucket}/jobs/pristo-rest.job" in str(refused.value.hint)
    names = f'["{machines.address}", "{machines.bucket}/jobs/pristo-rest.job"]'
    later = machines.configuration("later", f"[dedupe]\ndelivered_by = {names}\n")
    machines.at("four")
    assert machines.plan(later).manifest.duplicate == ROWS
    only = machines.configuration("only", f'[dedupe]\ndelivered_by = "{machines.address}"\n')
    named = [earlier.name for earlier in machines.plan(only).manifest.earlier]
    assert named == [machines.address, f"{machines.bucket}/jobs/pristo-rest.job"]


@pytest.mark.parametrize("what", ["changed", "lost"])
def test_a_file_that_is_not_the_plans_is_told_before_anything_is_sent(machines, what) -> None:
    machines.plan()
    (name, *_) = [name for name in machines.names() if "/ready/" in name and ".own" not in name]
    storage = ObjectStorage(machines.address)
    if what == "lost":
        storage.remove([name])
    else:
        other = machines.place / "other"
        other.write_bytes(b"something else")
        storage.put(name, other)
    machines.at("two")
    with pytest.raises(BackfillError, match=r"is not what was planned|object store"):
        machines.run(opening.open_job(machines.config))
    bucket = opening.open_job(machines.config).manifest.buckets[0]
    assert len(machines.store.stored) <= ROWS - bucket.rows, "of that file nothing was sent"


def test_a_copy_may_go_at_any_time(machines) -> None:
    job = machines.plan()
    shutil.rmtree(job.directory)
    assert machines.run(opening.open_job(machines.config), limit=5).books.delivered == 5
    shutil.rmtree(job.directory / "ready")
    assert machines.run(job).phase == "complete"


def gone(machines: Machines) -> None:
    ObjectStorage(machines.address).remove(machines.names())


def other_format(machines: Machines) -> None:
    path = machines.place / "job.json"
    path.write_text('{"format": 9}')
    ObjectStorage(machines.address).put("job.json", path)


@pytest.mark.parametrize("damage", [b"", b"PAR1 and no more", None])
def test_a_damaged_copy_is_copied_anew(machines, damage) -> None:
    """As a disk that was full leaves one: the job itself is whole."""
    job = machines.plan()
    ready = next((job.directory / "ready").glob("*.parquet"))
    content = bytearray(ready.read_bytes())
    content[len(content) // 2] ^= 1
    ready.write_bytes(content if damage is None else damage)
    assert job.status().books.pending == ROWS
    assert machines.run(job).books.delivered == ROWS


def test_processes_of_one_machine_renew_its_copy_at_once(machines) -> None:
    """As several workers do when a job was planned anew elsewhere."""
    machines.plan()
    machines.at("two")
    copy = opening.open_job(machines.address).directory
    before = (copy / PUBLISHED).read_bytes()
    machines.at("one")
    machines.change()
    planned = fingerprint(machines.plan().manifest)
    machines.at("two")

    def renew(_: int) -> str:
        refresh(copy)
        return fingerprint(Manifest.read(copy))

    with ThreadPoolExecutor(6) as pool:
        for _ in range(8):
            (copy / PUBLISHED).write_bytes(before)
            assert set(pool.map(renew, range(6))) == {planned}


def test_a_job_is_called_by_its_address_and_not_by_its_copy(machines) -> None:
    status = machines.plan().status()
    assert status.job == machines.address
    assert str(status.next).endswith(str(machines.config))
    machines.config.unlink()
    assert str(opening.open_job(machines.address).status().next).endswith(machines.address)


@pytest.mark.parametrize(
    ("change", "words"),
    [(gone, "there is no job here"), (other_format, "by another version of backfill")],
)
def test_what_is_in_the_store_counts_and_not_the_copy(
    machines, change: Callable[[Machines], None], words
) -> None:
    machines.plan()
    change(machines)
    with pytest.raises(BackfillError, match=words) as caught:
        opening.open_job(machines.config)
    assert str(caught.value.where).startswith(machines.address)


@pytest.mark.parametrize("cache", ["/proc/nowhere", "/proc/version"])
def test_a_copy_that_cannot_be_made_is_told_with_what_names_another_place(
    machines, monkeypatch, cache
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    with pytest.raises(BackfillError, match=r"the copy of the job in .* cannot be ") as caught:
        machines.plan()
    assert caught.value.where == machines.address
    assert "XDG_CACHE_HOME" in str(caught.value.hint)


def test_a_job_that_the_database_knows_and_the_store_does_not_is_called_by_its_address(
    machines,
) -> None:
    machines.run(machines.plan(), limit=20)
    gone(machines)
    with pytest.raises(JobError, match="the database knows a job in this place") as caught:
        machines.plan()
    assert caught.value.where == machines.address
    assert "storage" in str(caught.value.hint)
    assert "Mount" not in str(caught.value.hint)


def test_a_store_that_is_away_is_told_and_nothing_is_sent(machines, monkeypatch) -> None:
    machines.plan()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for name in ("init_backoff", "max_backoff"):
        monkeypatch.setitem(object_stores._WAITS, name, timedelta(milliseconds=1))
    with pytest.raises(BackfillError, match="the object store") as caught:
        opening.open_job(machines.config)
    assert caught.value.where == f"{machines.address}/job.json"
    assert not machines.store.stored


def test_a_job_of_one_machine_lies_in_no_object_store(machines) -> None:
    text = machines.config.read_text().partition("[cluster]")[0]
    machines.config.write_text(text)
    events = pl.DataFrame({"user_id": ["a"], "at": ["2024-01-01T00:00:00Z"]})
    settings: dict[str, Any] = {
        "destination": "pristo-events",
        "contact_key": "user_id",
        "time": "at",
        "fields": {"contact.id": "user_id", "type": {"value": "event"}},
    }
    for plan in (
        lambda: backfill.plan(machines.config, job=machines.address),
        lambda: backfill.plan(events=events, job=machines.address, **settings),
        lambda: backfill.plan(events="events.csv", job=machines.address, **settings),
    ):
        with pytest.raises(ConfigError, match="needs a ledger that machines share") as caught:
            plan()
        assert caught.value.where == machines.address
    assert not (machines.place / "caches").exists()


def test_an_address_without_names_is_refused(machines) -> None:
    with pytest.raises(ConfigError, match="a folder in an object store needs a name"):
        job_directory(f"{machines.bucket}/../x.job")


@pytest.mark.timeout(240)  # processes of Dask's on a busy machine
def test_processes_of_this_machine_plan_a_job_in_a_store(machines, monkeypatch) -> None:
    with engine_on("local:2") as engine:
        assert isinstance(engine, DaskEngine)
        config = load_config(machines.config)
        job = opening.plan_job(config, job_directory(machines.config), on=engine.client)
        place = LedgerPlace.read(job.directory)
        assert place is not None
        assert f"plans/{place.schema}/manifest.json" in machines.names()
        machines.at("two")
        assert machines.run(opening.open_job(machines.config)).phase == "complete"
        machines.at("one")
        elsewhere = {"tcp://a:1": {str(job.directory / "manifest.json"): None}}
        monkeypatch.setattr(engine, "_ask_all", lambda *_: elsewhere)
        with pytest.raises(ConfigError, match="sees no such file") as caught:
            engine.refuse_unseen([job.directory / "manifest.json"])
        assert "XDG_CACHE_HOME" in str(caught.value.hint)
