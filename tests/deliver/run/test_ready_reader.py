"""Slices of ready buckets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anyio
import polars as pl
import pytest

from backfill.core.errors import JobError, StorageError
from backfill.core.model import Batch, Lane, Range
from backfill.deliver.run.lanes import LaneCursor
from backfill.deliver.run.ready_reader import Ready, Rows
from backfill.jobdir.manifest import Manifest, Seal
from backfill.jobdir.storage_wait import StorageWait
from tests.deliver.jobs import number_of


def reader(directory: Path, manifest: Manifest) -> Ready:
    return Ready(directory, manifest, StorageWait("/mnt/jobs", patience=0))


def read(ready: Ready, bucket: int, portion: tuple[Range, ...]) -> Rows:
    found = anyio.run(ready.read, bucket, portion)
    assert found is not None
    return found


def numbers(bodies: list[bytes]) -> list[int]:
    return [number_of(json.loads(body)) for body in bodies]


def test_a_batch_is_found_wherever_its_ranges_lie(job):
    each = job(lanes=[[50], [60]])
    ready = reader(each.directory, each.manifest)
    portion = ((3, 5), (10, 20), (30, 31), (40, 59))
    rows = read(ready, 1, portion)
    records = pl.read_parquet(each.directory / "ready" / "001.parquet")["record"]
    for ranges in [((3, 5),), ((4, 5), (10, 12)), ((19, 20), (30, 31), (58, 59)), ((45, 50),)]:
        key, bodies = rows.slice_for(Batch(1, 0, ranges))
        assert key == records[ranges[0][0]]
        expected = [50 + at for start, stop in ranges for at in range(start, stop)]
        assert numbers(bodies) == expected


def test_every_batch_of_a_walk_is_in_its_portion(job):
    each = job("watch-events", [[400]])
    portion = ((0, 90), (95, 130), (200, 390))
    rows = read(reader(each.directory, each.manifest), 0, portion)
    cursor = LaneCursor(Lane(0, 0, 0, 400), portion, 70)
    found: list[int] = []
    while (drawn := cursor.next()) is not None:
        found += numbers(rows.slice_for(drawn[0])[1])
    assert found == [at for start, stop in portion for at in range(start, stop)]


def test_a_portion_may_span_blocks_and_be_read_again_in_any_order(job):
    each = job("watch-events", [[20_000]])
    ready = reader(each.directory, each.manifest)
    for start, stop in [(8_000, 8_400), (16_300, 16_400), (0, 20_000), (8_191, 8_193)]:
        rows = read(ready, 0, ((start, stop),))
        key, bodies = rows.slice_for(Batch(0, 0, ((start, stop),)))
        assert numbers(bodies) == list(range(start, stop))
        assert rows.keys[0] == key


def test_a_block_that_is_in_memory_is_not_used_once_its_file_was_changed(job):
    each = job(lanes=[[50]])
    path = each.directory / "ready" / "000.parquet"
    manifest = each.manifest.model_copy(update={"seals": {"ready/000.parquet": Seal.of(path)}})
    ready = reader(each.directory, manifest)
    read(ready, 0, ((0, 10),))
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(JobError, match="are not those of the plan"):
        read(ready, 0, ((10, 20),))


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b""),
        lambda path: pl.read_parquet(path).head(5).write_parquet(path),
        lambda path: pl.read_parquet(path).drop("body").write_parquet(path),
    ],
    ids=["gone", "cut", "empty", "shorter", "without bodies"],
)
def test_a_file_that_is_not_sound_is_named(job, harm):
    each = job(lanes=[[50]])
    harm(each.directory / "ready" / "000.parquet")
    with pytest.raises(JobError, match=r"000\.parquet"):
        read(reader(each.directory, each.manifest), 0, ((0, 50),))


def test_a_directory_that_is_gone_is_told_and_no_file_of_it(job):
    each = job(lanes=[[50]])
    ready = reader(each.directory, each.manifest)
    shutil.rmtree(each.directory)
    with pytest.raises(StorageError, match="directory is not there any more") as caught:
        read(ready, 0, ((0, 10),))
    assert caught.value.where == str(each.directory)
    assert "mount the storage" in str(caught.value.hint)
