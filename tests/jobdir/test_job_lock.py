"""One process at a time holds a job, and those who look see which, and are in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backfill.core.errors import BackfillError, BusyError, JobError
from backfill.jobdir.lock import Owner, locked, owner_of

HOLD = (
    "import sys; from pathlib import Path; from backfill.jobdir.lock import locked\n"
    "with locked(Path(sys.argv[1]), 'run') as lock:\n"
    "    lock.enter_ledger(); print('held', flush=True); sys.stdin.read()\n"
)


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the job until it is told to end, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "held\n"
        yield process


def test_who_holds_a_job_is_known_from_the_first_moment_to_the_last(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None
    with locked(tmp_path, "plan") as lock:
        owner = owner_of(tmp_path)
        assert owner is not None
        assert (owner.pid, owner.work, owner.in_ledger) == (os.getpid(), "plan", False)
        lock.enter_ledger()
        entered = owner_of(tmp_path)
        assert entered is not None
        assert (entered.in_ledger, entered.since) == (True, owner.since)
    assert owner_of(tmp_path) is None
    assert owner_of(tmp_path / "nowhere") is None


def test_a_second_one_is_told_which_process_holds_it_and_since_when(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(BusyError) as busy, locked(tmp_path, "run"):
            pass
        assert "another process works on this job: backfill run (" in str(busy.value)
        assert f"(process {process.pid}, since 20" in str(busy.value)
        process.communicate()
    with (
        locked(tmp_path, "retry"),
        pytest.raises(BusyError, match=r"this process.* backfill retry"),
    ):
        locked(tmp_path, "run").__enter__()


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / ".lock").read_text().startswith("{")
    assert owner_of(tmp_path) is None
    with locked(tmp_path, "run"):
        pass


def test_removing_its_file_lets_nobody_in(tmp_path: Path) -> None:
    with locked(tmp_path, "run"):
        (tmp_path / ".lock").unlink()
        assert owner_of(tmp_path) == Owner()
        with pytest.raises(BusyError, match="another process works on this job"):
            locked(tmp_path, "run").__enter__()
    with locked(tmp_path, "run"):
        pass


def test_whoever_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    over, looks = threading.Event(), [0, 0, 0]

    def watch(number: int) -> None:
        while not over.is_set():
            owner_of(tmp_path)
            looks[number] += 1

    watchers = [threading.Thread(target=watch, args=(number,)) for number in range(len(looks))]
    for each in watchers:
        each.start()
    try:
        for _ in range(300):
            with locked(tmp_path, "run"):
                pass
    finally:
        over.set()
        for each in watchers:
            each.join()
    assert min(looks) > 0


def test_a_job_that_cannot_be_locked_says_what_stands_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(BackfillError, match="cannot be locked: Is a directory"):
        locked(tmp_path, "run").__enter__()
    (tmp_path / ".lock").rmdir()
    (tmp_path / "ready").symlink_to(tmp_path)
    with pytest.raises(JobError, match="ready is a link"):
        locked(tmp_path, "run").__enter__()


def test_a_link_in_a_directory_that_is_no_job_is_somebodys_own(tmp_path: Path) -> None:
    (tmp_path / "os-release").symlink_to("/etc/hostname")
    with pytest.raises(JobError, match="something that is no job: os-release"):
        locked(tmp_path, "plan").__enter__()
