"""A ledger that holds fewer commits than its mark counts is refused, and left as it was found."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.ledger import Ledger
from backfill.ledger.sqlite.mark import Mark


def batch(start: int) -> Batch:
    return Batch(0, 0, ((start, start + 10),))


def step(ledger: Ledger, start: int) -> None:
    sent = batch(start)
    ledger.commit([], [sent])
    ledger.commit([Settlement(sent, (Outcome(sent.ranges, State.DELIVERED),))], [])


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """What a process that was killed leaves behind: ten records at rest, ten in flight."""
    first, path = tmp_path / "first" / "ledger.sqlite", tmp_path / "job" / "ledger.sqlite"
    first.parent.mkdir()
    path.parent.mkdir()
    with Ledger.open(first, create=True) as ledger:
        step(ledger, 0)
        ledger.commit([], [batch(10)])
        for suffix in ("", "-wal", "-mark"):
            shutil.copyfile(beside(first, suffix), beside(path, suffix))
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {
        each.name: each.read_bytes() for each in path.parent.iterdir() if "-shm" not in each.name
    }


def assert_refused(path: Path, words: str) -> None:
    before = contents(path)
    for use in (Ledger.open_readonly, Ledger.open, Ledger.open):
        with pytest.raises(LedgerError, match=f"THE BOOKS DO NOT BALANCE: {words}") as caught:
            use(path)
        assert "belong together" in (caught.value.hint or "")
    assert contents(path) == {"ledger.sqlite-wal": b"", **before}


def test_what_a_killed_process_left_is_whole(killed: Path) -> None:
    with Ledger.open_readonly(killed) as look:
        assert look.in_flight() == 10
    with Ledger.open(killed) as ledger:
        assert ledger.recovered == 10
        assert ledger.counts()[State.DELIVERED] == 10


def test_a_log_that_is_gone_is_missed(killed: Path) -> None:
    beside(killed, "-wal").unlink()
    assert_refused(killed, "the ledger has lost its last 3 commits")


def test_a_log_put_back_makes_the_ledger_whole_again(killed: Path) -> None:
    log = beside(killed, "-wal")
    content = log.read_bytes()
    log.unlink()
    assert_refused(killed, "the ledger has lost")
    log.write_bytes(content)
    with Ledger.open(killed) as ledger:
        assert ledger.recovered == 10


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_flipped_bit_in_the_log_is_noticed_where_it_took_commits_with_it(
    killed: Path, share: float
) -> None:
    log = beside(killed, "-wal")
    content = bytearray(log.read_bytes())
    content[int(len(content) * share)] ^= 4
    log.write_bytes(content)
    assert_refused(killed, "the ledger has lost its last")


def test_a_ledger_put_back_from_an_earlier_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, create=True) as ledger:
        step(ledger, 0)
    earlier = path.read_bytes()
    with Ledger.open(path) as ledger:
        step(ledger, 10)
    path.write_bytes(earlier)
    assert_refused(path, "the ledger has lost its last 2 commits")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "the ledger's mark is missing"),
        (b"", "the ledger's mark is damaged"),
        (b"backfill ledger", "the ledger's mark is damaged"),
    ],
)
def test_without_a_readable_mark_nobody_goes_on(killed: Path, content, words) -> None:
    beside(killed, "-mark").unlink()
    if content is not None:
        beside(killed, "-mark").write_bytes(content)
    assert_refused(killed, words)


def test_every_bit_of_the_mark_counts(killed: Path) -> None:
    mark = beside(killed, "-mark")
    content = mark.read_bytes()
    for bit in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        mark.write_bytes(flipped)
        with pytest.raises(LedgerError, match="mark is damaged"):
            Mark.read(killed)


def test_the_mark_of_another_ledger_is_noticed(killed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    Ledger.open(other, create=True).close()
    shutil.copyfile(beside(other, "-mark"), beside(killed, "-mark"))
    assert_refused(killed, "the ledger and its mark are not of the same job")


def test_a_mark_that_a_loss_of_power_left_behind_the_ledger_is_no_loss(killed: Path) -> None:
    identity, commits = Mark.read(killed)
    Mark.make(killed, identity)
    assert commits == 3
    with Ledger.open(killed) as ledger:
        assert ledger.recovered == 10
    assert Mark.read(killed)[1] == 4


def test_nobody_hears_of_a_commit_that_the_mark_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, create=True) as ledger:
        for start in range(0, 50, 10):
            before = Mark.read(path)[1]
            step(ledger, start)
            assert Mark.read(path)[1] == before + 2
        ledger.set_meta("a", "b")
        assert Mark.read(path)[1] == 11


def test_the_mark_is_durable_from_the_first_commit_then_once_a_second_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path, create=True).close()
    now, synced = [100.0], list[str]()
    sync = os.fsync

    def noting(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr("backfill.ledger.sqlite.mark.time.monotonic", lambda: now[0])
    ledger = Ledger.open(path)
    assert synced == []
    for seconds, times in [(0, 1), (0.5, 1), (1.1, 2), (1.5, 2), (2.2, 3), (2.3, 3)]:
        now[0] = 100 + seconds
        step(ledger, int(seconds * 1000))
        assert synced == [str(beside(path, "-mark"))] * times
    ledger.close()
    assert len(synced) == 4
    Ledger.open(path).close()
    assert len(synced) == 4, "nothing new, nothing to sync"


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EIO, "the disk failed"), (errno.ENOSPC, "the disk is full")]
)
def test_a_disk_that_fails_as_the_ledger_is_closed_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """Found by simulation: it came out as a fault of the program."""
    ledger = Ledger.open(tmp_path / "ledger.sqlite", create=True)
    ledger.set_meta("a", "b")
    ledger.set_meta("a", "c")  # not synced yet

    def failing(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(LedgerError, match=words):
        ledger.close()
    ledger.close()


def test_what_went_wrong_first_is_told_where_the_disk_fails_at_the_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.open(tmp_path / "ledger.sqlite", create=True)
    ledger.set_meta("a", "b")
    ledger.set_meta("a", "c")

    def failing(handle: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(KeyError), ledger:
        raise KeyError


@pytest.mark.parametrize("replaced", [False, True], ids=["moved", "another in its place"])
def test_a_ledger_that_is_not_in_its_place_begins_nothing_and_hears_what_ended(tmp_path, replaced):
    """A run went on to the end beside a directory that was moved, and the next one sent it all."""
    path, kept = tmp_path / "a.job" / "ledger.sqlite", tmp_path / "kept.job"
    path.parent.mkdir()
    with Ledger.open(path, create=True) as ledger:
        ledger.commit([], [batch(0)])
        path.parent.rename(kept)
        if replaced:
            shutil.copytree(kept, path.parent)
        ended = Settlement(batch(0), (Outcome(batch(0).ranges, State.DELIVERED),))
        with pytest.raises(LedgerError, match="was moved or removed") as caught:
            ledger.commit([ended], [batch(10)])
        assert "planned anew would send everything again" in (caught.value.hint or "")
        ledger.commit([ended], [])
    with Ledger.open(kept / path.name) as ledger:
        assert (ledger.counts()[State.DELIVERED], ledger.recovered) == (10, 0)
