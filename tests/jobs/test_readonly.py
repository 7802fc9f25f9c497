"""Looking at a job locks nothing, writes nothing, and always sees books that balance."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, State
from backfill.jobdir.lock import locked
from backfill.jobs.job import Job
from backfill.jobs.opening import open_job
from backfill.jobs.readonly import look
from backfill.jobs.status import Phase
from backfill.ledger import Ledger
from backfill.report.gather import gather
from tests.acceptance.program import backfill, start
from tests.acceptance.sources import pristo_job
from tests.report.jobs import deliver, make_job, ticks


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def die_in_flight(job: Job, elsewhere: Path) -> Job:
    """The job as a killed process leaves it: the log holds an intent for three records."""
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        ledger.commit([], [Batch(0, 0, ((6, 9),))])
        shutil.copytree(job.directory, elsewhere)
    return Job(elsewhere, job.manifest)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """20 ready records: six are delivered, and three were in flight when the process died."""
    job = make_job(tmp_path / "first.job", buckets=(20,))
    deliver(job, [(0, 6, State.DELIVERED, "")], ticks(1))
    return die_in_flight(job, tmp_path / "a.job")


def test_what_a_dead_process_left_in_flight_is_unknown_and_no_look_writes_it_down(
    job: Job,
) -> None:
    before = contents(job.directory)
    for _ in range(2):
        status = job.status()
        assert status.books.balanced
        assert (status.books.unknown, status.books.pending) == (3, 11)
        assert status.phase is Phase.STOPPED
        unknown = job.records("unknown")
        assert unknown["_row"].to_list() == [7, 8, 9]
        assert "before the reply was written down" in unknown["_reason"][0]
        assert job.records()["_state"].to_list().count("unknown") == 3
        assert gather(job).status.books == status.books
        assert status.address is None
    assert contents(job.directory) == before
    assert job.resolve("failed") == 3
    assert job.status().books.failed == 3


def test_what_a_living_process_has_in_flight_is_pending_and_what_it_found_is_not(
    job: Job,
) -> None:
    """A run looks at its source first, and has the ledger only then."""
    with locked(job.directory, "run") as lock:
        assert job.status().phase is Phase.RUNNING
        assert job.status().books.unknown == 3
        with Ledger.open(job.directory / "ledger.sqlite") as ledger:
            lock.enter_ledger()
            ledger.commit([], [Batch(0, 0, ((9, 12),))])
            books = job.status().books
            assert books.balanced
            assert (books.unknown, books.pending, ledger.in_flight()) == (3, 11, 3)
            assert job.records("pending").height == 11


def test_only_a_run_is_running(job: Job) -> None:
    with locked(job.directory, "plan"):
        assert job.status().phase is Phase.STOPPED


def test_each_look_is_of_one_moment(job: Job) -> None:
    with (
        locked(job.directory, "run") as lock,
        Ledger.open(job.directory / "ledger.sqlite") as ledger,
    ):
        lock.enter_ledger()
        with look(job.directory) as (seen, running):
            ledger.resolve(State.FAILED)
            assert running
            assert (seen.counts()[State.UNKNOWN], seen.counts()[State.FAILED]) == (3, 0)
            with pytest.raises(LedgerError, match="look at it only"):
                seen.retry()


def test_a_job_without_its_ledger_says_so(job: Job) -> None:
    (job.directory / "ledger.sqlite").unlink()
    with pytest.raises(LedgerError, match="missing"):
        job.status()


@pytest.fixture
def read_only(job: Job, tmp_path: Path) -> Iterator[Path]:
    """The job in a file system that is mounted to be read only."""
    place = tmp_path / "mounted"
    place.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount")
    try:
        shutil.copytree(job.directory, place / "a.job")
        subprocess.run([*mount[:1], "-o", "remount,ro", str(place)], check=True)
        yield place / "a.job"
    finally:
        subprocess.run([shutil.which("umount") or "umount", "-l", str(place)], check=True)


def test_a_job_on_a_read_only_mount_is_looked_at(read_only: Path) -> None:
    found = open_job(read_only)
    assert found.status().books.unknown == 3
    assert found.records().height == found.manifest.input


def test_whoever_looks_disturbs_no_run_and_every_look_balances(tmp_path: Path) -> None:
    """Runs start, are killed and end while three look all the time."""
    from backfill.sandbox import running_sandbox

    config = pristo_job(tmp_path, 120, delivery="concurrency = 4\n")
    backfill("plan", config, cwd=tmp_path, expect=[0])
    job, over = open_job(tmp_path / "pristo.job"), threading.Event()
    seen: list[tuple[bool, Phase]] = []
    faults: list[BaseException] = []

    def watch() -> None:
        try:
            while not over.wait(0.03):
                status = job.status()
                seen.append((status.books.balanced, status.phase))
        except BaseException as error:  # noqa: BLE001 - raised in the test
            faults.append(error)

    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for each in watchers:
        each.start()
    codes = []
    try:
        with running_sandbox(latency=0.02) as server:
            run = ["run", config, "--base-url", server.url, "--limit", "30"]
            for kill in (False, True, False, False):
                process = start(*run, cwd=tmp_path)
                deadline, before = time.monotonic() + 60, len(server.accepted)
                while kill and len(server.accepted) < before + 5:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                if kill:
                    process.send_signal(signal.SIGKILL)
                _, err = process.communicate(timeout=60)
                codes.append((process.returncode, err))
    finally:
        over.set()
        for each in watchers:
            each.join()
    assert faults == []
    assert [code for code, _ in codes] == [8, -signal.SIGKILL, 8, 8], codes
    assert {balanced for balanced, _ in seen} == {True}
    assert {phase for _, phase in seen} == {Phase.PLANNED, Phase.RUNNING, Phase.STOPPED}
