"""Records come in the source's order, however many they are, through files that stay few."""

import polars as pl
import pytest

from backfill.jobs.records import source_order
from backfill.jobs.records.source_order import in_source_order


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(source_order, "_SORTED_AT_ONCE", 10)
    monkeypatch.setattr(source_order, "_STRETCHES", 4)


def silent(phase, done, total):
    del phase, done, total


def records(files):
    """Each row of files of so many rows, in an order of no meaning."""
    frames = [
        pl.DataFrame({"_row": range(1, rows + 1)}, schema={"_row": pl.UInt64}).with_columns(
            __file=pl.lit(number, pl.UInt32)
        )
        for number, rows in enumerate(files)
    ]
    return pl.concat(frames).sample(fraction=1, shuffle=True, seed=7)


@pytest.mark.parametrize(
    "files",
    [[11], [500], [1] * 120, [0, 7, 0, 93, 1, 250], [160], [161]],
    ids=["just too many", "several levels", "small files", "some empty", "whole", "one more"],
)
def test_all_come_in_order(tmp_path, files):
    rows = records(files)
    parts = [rows[:5].lazy(), rows[5:].lazy()]
    pieces = list(in_source_order(parts, rows.height, files, tmp_path, silent))
    assert max(each.height for each in pieces) <= 10
    assert pl.concat(pieces).equals(rows.sort("__file", "_row"))
    assert not list(tmp_path.rglob("*.parquet"))


def test_few_of_a_long_source_that_stand_together(tmp_path):
    rows = records([10_000]).filter(pl.col("_row").is_between(4_321, 4_360))
    pieces = list(in_source_order([rows.lazy()], rows.height, [10_000], tmp_path, silent))
    assert max(each.height for each in pieces) <= 10
    assert pl.concat(pieces)["_row"].to_list() == list(range(4_321, 4_361))


def test_a_stretch_has_few_files_of_its_own(tmp_path, monkeypatch):
    """Polars closes one file to open another where there are many, and begins a new one each
    time that rows of its stretch come again: the files would grow with the square of the rows.
    """
    monkeypatch.setattr(source_order, "_SORTED_AT_ONCE", 5)
    monkeypatch.setattr(source_order, "_STRETCHES", 100)
    rows = records([3_000])
    parts = [rows[at : at + 500].lazy() for at in range(0, 3_000, 500)]
    pieces = in_source_order(parts, rows.height, [3_000], tmp_path, silent)
    next(pieces)
    assert len(list(tmp_path.rglob("*.parquet"))) <= 2 * 101


def test_columns_of_any_name_are_kept(tmp_path):
    rows = records([30]).with_columns(
        **{name: pl.col("_row") % 7 for name in ("s", "f", "p", "stretch", "position")}
    )
    pieces = list(in_source_order([rows.lazy()], 30, [30], tmp_path, silent))
    assert pl.concat(pieces).equals(rows.sort("__file", "_row"))


def test_rows_are_spread_so_many_at_once(tmp_path, monkeypatch):
    """A sink takes rows faster than it writes them, and holds what it has not written."""
    monkeypatch.setattr(source_order, "_SPREAD_AT_ONCE", 60)
    rows = records([400])
    parts = [rows[at : at + 20].lazy() for at in range(0, 400, 20)]
    pieces = in_source_order(parts, rows.height, [400], tmp_path, silent)
    first = next(pieces)
    sinks = [each for each in tmp_path.iterdir() if list(each.rglob("*.parquet"))]
    heights = [
        sum(pl.read_parquet(file).height for file in each.rglob("*.parquet")) for each in sinks
    ]
    assert max(heights) < 60 + 20  # the last frame of a sink is not cut
    assert pl.concat([first, *pieces]).equals(rows.sort("__file", "_row"))
