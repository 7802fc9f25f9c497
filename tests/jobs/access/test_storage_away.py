"""A job's directory that goes away while deliverers work on it, as when its share is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backfill.core.errors import StorageError
from backfill.core.model import StopKind
from backfill.deliver import StopRequest
from backfill.deliver.run import ready_reader
from backfill.jobdir import storage_wait
from backfill.jobdir.pace_file import read_pace
from backfill.jobs.access.pace import pace_in
from backfill.jobs.access.shared_ledger import beside
from tests.jobs.access.test_shared_ledger import ROWS, Machine, machine, place_of

__all__ = ["machine"]


class Mount:
    """The storage of a machine's job, which can be unmounted; each read of it is then counted."""

    def __init__(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._place, self._away = machine.directory, machine.directory.parent / "away"
        self.reads = 0
        self.comes_back_after = 0
        reach, read = storage_wait.is_away, self._read
        monkeypatch.setattr(ready_reader, "is_away", lambda *args: (read(), reach(*args))[1])

    def _read(self) -> None:
        self.reads += 1
        if self.reads == self.comes_back_after:
            self.back()

    def unmount(self) -> None:
        self._place.rename(self._away)

    def back(self) -> None:
        if self._away.exists():
            self._away.rename(self._place)


@pytest.fixture
def mount(machine, monkeypatch):
    monkeypatch.setattr(storage_wait, "_EVERY", 0.02)
    mount = Mount(machine, monkeypatch)
    yield mount
    mount.back()


def after(machine: Machine, mount: Mount, requests: int) -> None:
    """Have the storage go away with this request."""
    asked: list[None] = []

    def count() -> None:
        asked.append(None)
        if len(asked) == requests:
            mount.unmount()

    machine.store.asked = count


def test_a_share_that_is_lost_for_a_while_is_waited_for(machine, mount) -> None:
    job = machine.plan()
    after(machine, mount, ROWS // 3)
    mount.comes_back_after = 4
    status = machine.run(job, concurrency=1)
    assert (status.phase, status.exit_code) == ("complete", 0)
    assert sorted(machine.store.stored) == sorted(set(machine.store.stored))
    assert len(machine.store.stored) == ROWS


def test_one_that_is_told_to_end_meanwhile_ends_as_ever(machine, mount, monkeypatch) -> None:
    job = machine.plan()
    halt = StopRequest()
    after(machine, mount, ROWS // 3)
    monkeypatch.setattr(
        storage_wait.StorageWait, "_tell", lambda *_: halt.request(StopKind.TERMINATED)
    )
    monkeypatch.setattr(storage_wait, "_FAILING", 0.0)
    status = machine.run(job, concurrency=1, halt=halt)
    assert (status.phase, status.exit_code) == ("stopped", 143)
    assert status.books.delivered == len(machine.store.stored) < ROWS
    assert status.books.balanced
    mount.back()
    assert machine.run(job).exit_code == 0
    assert len(set(machine.store.stored)) == len(machine.store.stored) == ROWS


def test_a_run_whose_storage_is_lost_as_it_ends_has_ended_well(machine, mount, caplog) -> None:
    job = machine.plan()
    after(machine, mount, ROWS)
    status = machine.run(job)
    assert (status.phase, status.exit_code) == ("complete", 0)
    assert "the job's directory is not there any more" in caplog.text


def test_a_look_at_a_job_whose_storage_is_lost_calls_no_single_file_lost(machine, mount) -> None:
    """It said that the books did not balance."""
    job = machine.plan()
    with beside(place_of(job.directory)) as ledger:
        mount.unmount()
        Path(machine.directory).mkdir()
        try:
            with pytest.raises(StorageError, match="not there any more"):
                job.status_in(ledger, running=False)
        finally:
            Path(machine.directory).rmdir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_this_user_may_not_read_are_no_lost_ones(machine) -> None:
    job = machine.plan()
    bucket = machine.directory / "ready" / job.manifest.buckets[0].file
    os.utime(bucket)
    bucket.chmod(0)
    with pytest.raises(StorageError, match="Permission denied"):
        job.status()


def test_the_pace_of_a_shared_job_is_known_without_its_directory(machine, mount) -> None:
    """A run that was paused went on as its share was lost."""
    job = machine.plan()
    job.pace(pause=True)
    with beside(place_of(job.directory)) as ledger:
        mount.unmount()
        assert pace_in(machine.directory, ledger).paused


def test_the_pace_of_a_job_whose_directory_is_gone_is_not_known(tmp_path) -> None:
    with pytest.raises(StorageError):
        read_pace(tmp_path / "pristo.job")
