"""Storage that goes away while a run needs a job's files."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from backfill.core.errors import JobError, StorageError
from backfill.jobdir import storage_wait
from backfill.jobdir.storage_wait import StorageWait, is_away, reach, storage_error


class Clock:
    """Seconds that pass with each attempt."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wait(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> StorageWait:
    """One whose pauses take a second of the clock, and no time."""
    monkeypatch.setattr(storage_wait, "_EVERY", 1.0)
    found = StorageWait("/mnt/jobs", patience=100.0, clock=clock)
    ended = found._ended.is_set

    def pause(seconds: float) -> bool:
        clock.now += seconds
        return ended()

    monkeypatch.setattr(found._ended, "wait", pause)
    return found


def failing(times: int) -> Callable[[], str]:
    """A read that fails so often before it returns."""
    answers = iter([storage_error(Path("/mnt/jobs"), OSError(errno.ESTALE, "stale"))] * times)

    def read() -> str:
        for error in answers:
            raise error
        return "read"

    return read


def test_storage_that_is_away_for_a_moment_is_waited_for_without_a_word(wait, caplog) -> None:
    assert wait.until_there(failing(2)) == "read"
    assert not caplog.records


def test_a_longer_wait_is_spoken_of_once_and_so_is_its_end(wait, caplog) -> None:
    assert wait.until_there(failing(60)) == "read"
    away, again = (record.getMessage() for record in caplog.records)
    assert away.startswith("/mnt/jobs is away")
    assert away.endswith("the job's files cannot be read: stale")
    assert again == "/mnt/jobs answers again"
    assert (wait.away, wait.lost) == (False, False)


def test_it_is_away_as_long_as_it_is_waited_for(wait) -> None:
    seen: list[bool] = []
    read = failing(3)

    def looked_at() -> str:
        seen.append(wait.away)
        return read()

    wait.until_there(looked_at)
    assert seen == [False, True, True, True]


def test_patience_ends(wait, clock) -> None:
    with pytest.raises(StorageError, match="stale"):
        wait.until_there(failing(10_000))
    assert 99 <= clock.now <= 100
    assert (wait.away, wait.lost) == (False, True)


def test_one_that_is_to_end_waits_no_more(wait, clock) -> None:
    wait.stop()
    with pytest.raises(StorageError):
        wait.until_there(failing(1))
    assert clock.now == 0


def test_who_waits_hears_at_once_that_the_run_is_to_end() -> None:
    wait = StorageWait("/mnt/jobs")
    failed = threading.Event()
    read = failing(10_000)

    def fails() -> str:
        failed.set()
        return read()

    raised: list[StorageError] = []

    def waits() -> None:
        try:
            wait.until_there(fails)
        except StorageError as error:
            raised.append(error)

    thread = threading.Thread(target=waits)
    thread.start()
    failed.wait(10)
    wait.stop()
    thread.join(10)
    assert raised


def test_what_is_wrong_with_a_file_is_not_waited_for(wait, clock) -> None:
    def read() -> None:
        raise JobError("it is another file")

    with pytest.raises(JobError):
        wait.until_there(read)
    assert clock.now == 0


def test_storage_that_does_not_answer_is_told_to_who_looks(wait, clock, caplog) -> None:
    def read() -> None:
        clock.now += 19
        assert not wait.look()
        clock.now += 2
        assert wait.look()
        assert wait.look()
        assert wait.lost

    wait.until_there(read)
    assert [record.getMessage().partition(":")[2] for record in caplog.records] == [
        " it has not answered for 20 s",
        "",
    ]
    assert not wait.look()


@pytest.mark.parametrize(
    ("error", "there", "away"),
    [
        (errno.EIO, True, True),
        (errno.ESTALE, True, True),
        (errno.ETIMEDOUT, True, True),
        (errno.ENOENT, True, False),
        (errno.ENOENT, False, True),
    ],
)
def test_one_file_that_is_missing_among_others_was_lost(tmp_path, error, there, away) -> None:
    if there:
        (tmp_path / "another").touch()
    assert is_away(tmp_path, OSError(error, os.strerror(error))) == away
    if not there:
        assert is_away(tmp_path / "job", OSError(error, os.strerror(error))) == away


def test_a_directory_without_its_manifest_is_not_reached(tmp_path) -> None:
    with pytest.raises(StorageError, match="not there any more") as caught:
        reach(tmp_path)
    assert caught.value.exit_code == 1
    (tmp_path / "manifest.json").write_text("{}")
    reach(tmp_path)
