"""A plan on a disk without room is there in full or not at all, and hinders no later one."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from backfill.config import Config, load_config
from backfill.core.errors import BackfillError
from backfill.jobs.opening import open_job, plan_job
from tests.acceptance.sources import pristo_job

Narrow = Callable[[int], AbstractContextManager[None]]


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def little_room(place: Path, room: int) -> Iterator[None]:
    """All but `room` bytes of a small file system are taken."""
    found = os.statvfs(place)
    filler = place / "filler"
    filler.write_bytes(b"\0" * max(0, found.f_bavail * found.f_bsize - room))
    try:
        yield
    finally:
        filler.unlink()


@pytest.fixture
def configs(tmp_path: Path) -> tuple[Config, Config]:
    """Two that shape the bodies differently, so that one is planned anew where the other was."""
    first = pristo_job(tmp_path, 600)
    second = tmp_path / "second.toml"
    text = first.read_text(encoding="utf-8")
    second.write_text(text.replace('"type" = "event"', '"type" = { value = "other" }'))
    return load_config(first), load_config(second)


def plan_with_ever_more_room(
    directory: Path, other: Path, configs: tuple[Config, Config], narrow: Narrow, rooms: range
) -> None:
    """Plan where nothing is, and over another job, which outlives a failure. A copy of that one is
    kept in `other`.
    """
    ends = set()
    created = plan_job(configs[0], directory).manifest.created
    shutil.copytree(directory, other)
    for room in rooms:
        for planned in (None, other):
            shutil.rmtree(directory, ignore_errors=True)
            if planned is not None:
                shutil.copytree(planned, directory)
            refused: BackfillError | None = None
            try:
                with narrow(room):
                    plan_job(configs[1], directory)
            except BackfillError as error:
                refused = error
            ends.add(None if refused is None else refused.exit_code)
            if refused is not None:
                assert not (directory / ".preparing").exists(), refused
            if refused is not None and planned is not None:
                assert open_job(directory).status().books.pending == 600
                assert open_job(directory).manifest.created == created
            assert plan_job(configs[1], directory).status().books.pending == 600, room
    assert ends == {None, 1}


def test_a_plan_whose_files_may_not_grow_is_whole_or_not_at_all(
    tmp_path: Path, configs: tuple[Config, Config]
) -> None:
    rooms = range(0, 120_000, 14_000)
    plan_with_ever_more_room(tmp_path / "a.job", tmp_path / "b.job", configs, small_files, rooms)


def test_a_plan_on_a_full_disk_is_whole_or_not_at_all(
    tmp_path: Path, configs: tuple[Config, Config]
) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount")
    try:
        assert place.is_mount(), "it would be the machine's own disk that is filled"
        rooms = range(0, 400_000, 45_056)
        narrow = partial(little_room, place)
        plan_with_ever_more_room(place / "a.job", tmp_path / "b.job", configs, narrow, rooms)
    finally:
        subprocess.run([shutil.which("umount") or "umount", "-l", str(place)], check=True)


def test_too_few_open_files_are_called_so(tmp_path: Path, configs: tuple[Config, Config]) -> None:
    plan_job(configs[0], tmp_path / "first.job")  # which imports what it needs
    used = {int(each.name) for each in Path("/dev/fd").iterdir()}
    unused = [number for number in range(200) if number not in used]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused = 0
    for spare in range(1, 40):
        resource.setrlimit(resource.RLIMIT_NOFILE, (unused[spare], before[1]))
        try:
            plan_job(configs[0], tmp_path / f"{spare}.job")
            break
        except BackfillError as error:
            told = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert "Too many open files" in told, spare
        assert "ulimit -n" in told, spare
        refused += 1
    assert 3 <= refused < 20
