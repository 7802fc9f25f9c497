"""Splitting by key: together what shares a key, and nothing lost."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from backfill.prepare.partition import ROWS_OF_A_BUCKET, Parts, parts_needed, scan_files, split


def rows_with(keys: list[str | None]) -> pl.LazyFrame:
    return pl.LazyFrame(
        {"__file": [0] * len(keys), "__row": range(1, len(keys) + 1), "key": keys},
        schema={"__file": pl.UInt32, "__row": pl.UInt64, "key": pl.String},
    )


def parts_of(parts: Parts) -> list[pl.DataFrame]:
    found = [scan_files(parts.files(number)) for number in range(parts.count)]
    return [each.collect() for each in found if each is not None]


def split_into(directory: Path, count: int, *rows: pl.LazyFrame) -> Parts:
    """Parts of rows that are split one portion after another."""
    parts = Parts(count)
    for number, each in enumerate(rows):
        parts.add(split(each, pl.col("key"), directory / str(number), count))
    return parts


@pytest.mark.parametrize("count", [1, 2, 7])
def test_rows_of_one_key_lie_in_one_part_and_none_is_lost(tmp_path: Path, count: int) -> None:
    rows = rows_with([f"key-{index % 50}" for index in range(1_000)])
    parts = parts_of(split_into(tmp_path, count, rows.head(300), rows.slice(300)))
    assert sorted(row for part in parts for row in part["__row"]) == list(range(1, 1_001))
    homes: dict[str, set[int]] = {}
    for number, part in enumerate(parts):
        for key in part["key"].unique():
            homes.setdefault(key, set()).add(number)
    assert all(len(home) == 1 for home in homes.values())
    assert len(parts) == count
    assert {tuple(part.columns) for part in parts} == {("__file", "__row", "key")}


def test_many_parts_at_once_lose_no_row_and_mix_none(tmp_path: Path) -> None:
    """All files are open at the same time, far more of them than threads or cores."""
    count, rows = 500, 200_000
    row = pl.int_range(1, rows + 1, dtype=pl.UInt64)
    source = pl.select(
        pl.lit(0, pl.UInt32).alias("__file"),
        row.alias("__row"),
        pl.format("key-{}", row % 3_000).alias("key"),
        pl.format("{}", row).alias("said"),
    )
    found = split_into(tmp_path, count, source.lazy())
    numbered = [
        frame.with_columns(part=pl.lit(number))
        for number in range(count)
        if (scan := scan_files(found.files(number))) is not None
        for frame in [scan.collect()]
    ]
    together = pl.concat(numbered)
    assert len(numbered) > 0.95 * count
    assert together.drop("part").sort("__row").equals(source)
    assert together.group_by("key").agg(pl.col("part").n_unique())["part"].max() == 1


def test_rows_without_a_key_are_spread_and_not_heaped_up(tmp_path: Path) -> None:
    rows = rows_with([None] * 900)
    parts = parts_of(split_into(tmp_path, 3, rows))
    assert sum(part.height for part in parts) == 900
    assert max(part.height for part in parts) < 450


def test_a_part_that_was_dropped_or_never_filled_has_no_file(tmp_path: Path) -> None:
    parts = split_into(tmp_path, 2, rows_with(["a", "a"]))
    full = next(number for number in range(2) if parts.files(number))
    assert parts.files(1 - full) == ()
    [file] = parts.files(full)
    parts.drop(full)
    assert parts.files(full) == ()
    assert not Path(file).exists()


def test_parts_have_the_files_that_were_named_and_no_others(tmp_path: Path) -> None:
    parts = split_into(tmp_path, 2, rows_with(["a"]), rows_with(["a", "b"]))
    split(rows_with(["a"] * 9), pl.col("key"), tmp_path / "killed", 2)
    assert sum(part.height for part in parts_of(parts)) == 3


@pytest.mark.parametrize(
    ("rows", "size", "parts"),
    [
        (0, 0, 1),
        (ROWS_OF_A_BUCKET, 1, 1),
        (ROWS_OF_A_BUCKET + 1, 1, 2),
        (10, 150_000_001, 2),
        (3 * ROWS_OF_A_BUCKET, 10**9, 7),
    ],
)
def test_as_many_parts_as_keep_each_small(rows: int, size: int, parts: int) -> None:
    assert parts_needed(rows, size) == parts


def test_each_of_many_parts_is_one_file_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    """More of them than Polars holds open, so that it would come back to parts that it closed."""
    count, rows = 200, 2_000_000
    row = pl.int_range(1, rows + 1, dtype=pl.UInt64)
    source = pl.select(
        pl.lit(0, pl.UInt32).alias("__file"), row.alias("__row"), (row % 5_000).alias("key")
    )
    parts = split_into(tmp_path, count, source.lazy())
    files = [parts.files(number) for number in range(count)]
    assert [len(each) for each in files] == [1] * count
    assert {str(path) for path in tmp_path.rglob("*.parquet")} == {name for [name] in files}
    assert sum(part.height for part in parts_of(parts)) == rows
