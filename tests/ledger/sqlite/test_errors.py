"""A full disk, a directory that nobody may write to, a file that is damaged: in plain words."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.ledger import Ledger
from backfill.ledger.sqlite import schema
from backfill.ledger.sqlite.errors import plain_words

NOBODY = 65534


def batch(start: int, stop: int, lane: int = 0) -> Batch:
    return Batch(0, lane, ((start, stop),))


def delivered(sent: Batch, request_id: str | None = None) -> Settlement:
    return Settlement(sent, (Outcome(sent.ranges, State.DELIVERED, "", 200, request_id),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with five delivered records, closed."""
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path, create=True) as ledger:
        ledger.commit([], [batch(0, 5)])
        ledger.commit([delivered(batch(0, 5))], [])
    return path


@contextlib.contextmanager
def full_disk(ledger: Ledger) -> Iterator[None]:
    """The database may not grow by a single page."""
    connection = ledger._file._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")


def test_a_full_disk_is_named_and_the_books_stay_as_they_were(path: Path) -> None:
    with Ledger.open(path) as ledger:
        sent = [batch(10 * i, 10 * i + 5, lane=i) for i in range(1, 200)]
        ledger.commit([], sent)
        settled = [delivered(each, request_id="x" * 100) for each in sent]
        with full_disk(ledger), pytest.raises(LedgerError, match="disk is full") as caught:
            ledger.commit(settled, [])
        assert "run the same command again" in str(caught.value)
        assert ledger.counts()[State.DELIVERED] == 5
        assert ledger.in_flight() == 5 * len(sent)
        ledger.commit(settled, [])
        assert ledger.counts()[State.DELIVERED] == 5 + 5 * len(sent)
        assert ledger.in_flight() == 0


def test_where_the_log_cannot_grow_it_begins_anew_and_outcomes_find_room(path: Path) -> None:
    with Ledger.open(path) as ledger:
        sent = [batch(10 * i, 10 * i + 5, lane=i) for i in range(1, 20)]
        for each in sent:
            ledger.commit([], [each])
        log = path.with_name(path.name + "-wal")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
        try:
            settled = [delivered(each, request_id="x" * 20) for each in sent]
            with pytest.raises(LedgerError, match="disk"):
                ledger.commit(settled, [batch(5, 9)])
            ledger.commit(settled, [])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert ledger.in_flight() == 0
        assert ledger.counts()[State.DELIVERED] == 5 + 5 * len(sent)


def test_an_intent_that_found_no_room_may_be_written_later(path: Path) -> None:
    with Ledger.open(path) as ledger:
        sent = [batch(10 * i, 10 * i + 5, lane=i) for i in range(1, 2000)]
        with full_disk(ledger), pytest.raises(LedgerError, match="disk is full"):
            ledger.commit([], sent)
        assert ledger.in_flight() == 0
        ledger.commit([], sent)
        assert ledger.in_flight() == 5 * len(sent)


@pytest.mark.parametrize("room", range(0, 40_000, 3_000))
def test_a_ledger_that_finds_no_room_is_whole_or_not_there(tmp_path: Path, room: int) -> None:
    path = tmp_path / "ledger.sqlite"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with contextlib.suppress(LedgerError):
            Ledger.open(path, create=True).close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if path.exists():
        with Ledger.open(path) as ledger:
            assert ledger.counts()[State.DELIVERED] == 0
    left = sorted(each.name for each in tmp_path.iterdir())
    assert left in ([], [path.name, f"{path.name}-mark"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"no database at all, but long enough to be taken for one" * 20, "it is no database"),
    ],
)
@pytest.mark.parametrize("use", [Ledger.open, Ledger.open_readonly])
def test_what_is_no_ledger_is_refused(path: Path, content: bytes, words: str, use) -> None:
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=words):
        use(path)
    assert path.read_bytes() == content


def test_a_page_that_was_overwritten_is_reported_as_damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xde\xad" * (path.stat().st_size // 2 - 2048))
    with pytest.raises(LedgerError, match="damaged"), Ledger.open(path) as ledger:
        ledger.counts()


def test_another_programs_database_is_no_ledger(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(LedgerError, match="no ledger"):
        Ledger.open(path)


def test_a_missing_ledger_is_never_made_silently(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    for how, hint in [
        (Ledger.open, "from a copy before anything is sent again"),
        (Ledger.open_readonly, ""),
    ]:
        with pytest.raises(LedgerError, match="the ledger is missing") as error:
            how(path)
        assert error.value.where == str(path)
        assert hint in (error.value.hint or "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [Ledger.open, Ledger.open_readonly])
def test_a_newer_ledger_ends_a_command_as_a_newer_manifest_does(tmp_path: Path, how) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger.open(path, create=True).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(LedgerError, match="has version 99") as error:
        how(path)
    assert error.value.exit_code == 2


def test_a_ledger_that_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "SCHEMA", "CREATE TABLE half (x); CREATE NONSENSE;")
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "ledger.sqlite", create=True)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_ledger_is_refused_and_an_older_one_named(path: Path) -> None:
    for version, age in ((schema.VERSION + 1, "newer"), (0, "older")):
        with contextlib.closing(sqlite3.connect(path)) as raw:
            raw.execute(f"PRAGMA user_version = {version}")
        for use in (Ledger.open, Ledger.open_readonly):
            with pytest.raises(LedgerError, match=f"version {version}.*\n.*{age}"):
                use(path)


class TestMigration:
    @pytest.fixture(autouse=True)
    def older(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file is of today's version, and the program two versions further."""
        monkeypatch.setattr(schema, "VERSION", schema.VERSION + 2)
        self.steps = {
            schema.VERSION - 2: "CREATE TABLE extra (x); INSERT INTO extra VALUES (7)",
            schema.VERSION - 1: "UPDATE extra SET x = x + 1",
        }
        monkeypatch.setattr(schema, "MIGRATIONS", self.steps)

    def test_an_older_ledger_is_brought_up_to_date_step_by_step(self, path: Path) -> None:
        before = path.read_bytes()
        with Ledger.open_readonly(path) as look:
            assert look._file.read("SELECT x FROM extra") == [(8,)]
        assert path.read_bytes() == before, "looking changes nothing"
        with Ledger.open(path) as ledger:
            assert ledger._file.read("SELECT x FROM extra") == [(8,)]
            assert ledger.counts()[State.DELIVERED] == 5
        Ledger.open_readonly(path).close()

    def test_a_step_that_fails_leaves_the_ledger_as_it_was(self, path: Path) -> None:
        first = min(self.steps)
        self.steps[first] += "; CREATE NONSENSE"
        with pytest.raises(LedgerError, match="as it was"):
            Ledger.open(path)
        with contextlib.closing(sqlite3.connect(path)) as raw:
            assert raw.execute("PRAGMA user_version").fetchone() == (first,)
            tables = raw.execute("SELECT name FROM sqlite_master WHERE name = 'extra'")
            assert tables.fetchall() == []


def test_a_ledger_that_another_process_holds_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backfill.ledger.sqlite.opening._PATIENCE", 0.05)
    with Ledger.open(path) as ledger, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="another process"):
            ledger.commit([], [batch(5, 6)])
        other.execute("ROLLBACK")
        ledger.commit([], [batch(5, 6)])


class TestLook:
    def test_it_sees_one_moment_of_what_a_running_process_has_committed(self, path: Path) -> None:
        with Ledger.open(path) as ledger:
            ledger.commit([], [batch(5, 8)])
            with Ledger.open_readonly(path) as look:
                assert look.in_flight() == 3
                assert look.counts() == {State.DELIVERED: 5, State.FAILED: 0, State.UNKNOWN: 0}
                ledger.commit([delivered(batch(5, 8))], [])
                assert look.in_flight() == 3
                assert look.counts()[State.DELIVERED] == 5
            with Ledger.open_readonly(path) as look:
                assert look.counts()[State.DELIVERED] == 8

    @pytest.mark.parametrize("use", [Ledger.open_readonly, Ledger.open_copy])
    def test_it_changes_nothing(self, path: Path, use: Callable[[Path], Ledger]) -> None:
        with Ledger.open(path) as ledger:
            ledger.commit([], [batch(5, 8)])
        with use(path) as look:
            assert look.recovered == (3 if use == Ledger.open_copy else 0)
            assert look.path == path
            for change in (
                lambda: look.commit([], [batch(8, 9)]),
                look.retry,
                lambda: look.resolve(State.PENDING),
                lambda: look.set_quiet_until(1.0),
            ):
                with pytest.raises(LedgerError, match="look at it only"):
                    change()
        with Ledger.open(path) as ledger:
            assert ledger.recovered == 3

    def test_in_a_copy_what_is_in_flight_is_unknown_and_no_file_changes(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a kill: the last commits are only in the log."""
        places = [tmp_path / "crashed", tmp_path / "copies"]
        for place in places:
            place.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(places[1]))
        with Ledger.open(path) as ledger:
            ledger.commit([], [batch(5, 8)])
            for each in path.parent.glob("ledger.sqlite*"):
                shutil.copyfile(each, places[0] / each.name)
        crashed = places[0] / "ledger.sqlite"
        before = {each.name: each.read_bytes() for each in places[0].iterdir()}
        assert before["ledger.sqlite-wal"]
        with Ledger.open_copy(crashed) as look:
            assert look.counts() == {State.DELIVERED: 5, State.FAILED: 0, State.UNKNOWN: 3}
            assert look.settled(0) == [(0, 8)]
        assert {each.name: each.read_bytes() for each in places[0].iterdir()} == before
        assert list(places[1].iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users and file permissions")
class TestReadOnlyDirectory:
    """Permissions bind everyone but root, so another process plays an ordinary user."""

    @pytest.fixture
    def closed_directory(self, path: Path) -> Iterator[Path]:
        # pytest's own directories are closed to other users.
        with tempfile.TemporaryDirectory() as home:
            directory = Path(home)
            for each in path.parent.iterdir():
                shutil.copyfile(each, directory / each.name)
            yield directory
            directory.chmod(0o700)

    @staticmethod
    def as_ordinary_user(directory: Path, code: str) -> str:
        for each in directory.iterdir():
            each.chmod(0o444)
        directory.chmod(0o555)
        prelude = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from backfill.core.errors import LedgerError\n"
            "from backfill.ledger import Ledger\n"
            "from backfill.core.model import State\n"
            "Path('/').as_uri()  # Python 3.13 imports for it, and nobody can read root's home\n"
            f"if os.geteuid() == 0: os.setuid({NOBODY})\n"
            "path = Path(sys.argv[1]) / 'ledger.sqlite'\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", prelude + code, str(directory)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stderr == ""
        return done.stdout

    COUNT = "with Ledger.open_readonly(path) as look: print(look.counts()[State.DELIVERED])"

    def test_a_closed_ledger_can_be_looked_at(self, closed_directory: Path) -> None:
        assert self.as_ordinary_user(closed_directory, self.COUNT) == "5\n"

    def test_so_can_one_whose_log_was_left_behind(self, path: Path, closed_directory: Path) -> None:
        with Ledger.open(path) as ledger:
            ledger.commit([], [batch(5, 8)])
            ledger.commit([delivered(batch(5, 8))], [])
            for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-mark"):
                shutil.copyfile(path.with_name(name), closed_directory / name)
        assert self.as_ordinary_user(closed_directory, self.COUNT) == "8\n"

    def test_working_with_it_is_refused_in_words(self, closed_directory: Path) -> None:
        code = (
            "try:\n"
            "    with Ledger.open(path) as ledger: ledger.set_meta('a', 'b')\n"
            "except LedgerError as error: print(error)\n"
        )
        said = self.as_ordinary_user(closed_directory, code)
        assert "writable" in said or "may read and write" in said


def test_text_that_is_none_is_damage(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no text"), plain_words(tmp_path / "ledger.sqlite"):
        b"\xc5\x00".decode()
