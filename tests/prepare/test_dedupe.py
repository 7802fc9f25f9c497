"""Duplicates: exactly the rows that repeat another one, each with the row that is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.prepare.dedupe import MARKS, marks
from backfill.prepare.identity import IDENTITY
from backfill.prepare.left_out import EARLIER, LeftOut

places = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 40), st.sampled_from("abcdefgh")),
    unique_by=lambda each: each[:2],
    max_size=60,
)


def frame_of(rows: list[tuple[int, int, str]]) -> pl.DataFrame:
    schema = {"__file": pl.UInt32, "__row": pl.UInt64, IDENTITY: pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


@settings(deadline=None, max_examples=100)
@given(places, st.sampled_from(["first", "last"]))
def test_the_kept_row_is_the_first_or_last_in_source_order(
    rows: list[tuple[int, int, str]], keep: Literal["first", "last"]
) -> None:
    kept: dict[str, tuple[int, int]] = {}
    for file, row, identity in sorted(rows, reverse=keep == "last"):
        kept.setdefault(identity, (file, row))
    expected = {
        (file, row): kept[identity] for file, row, identity in rows if kept[identity] != (file, row)
    }
    found = marks(frame_of(rows), keep)
    assert found.schema == MARKS
    pairs = found.select("__file", "__row", "__kept", "_kept_row").iter_rows()
    assert {(file, row): (other, place) for file, row, other, place in pairs} == expected
    assert found.height == len(expected)


def test_equal_hashes_alone_make_no_duplicate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Expr, "hash", lambda self, *_: pl.lit(7, pl.UInt64).repeat_by(1).first())
    monkeypatch.setattr(pl.Expr, "is_duplicated", lambda self: pl.lit(value=True), raising=True)
    found = marks(frame_of([(0, 1, "a"), (0, 2, "b"), (0, 3, "a")]), "first")
    assert found["__row"].to_list() == [3]


def test_what_an_earlier_job_delivered_is_left_out_in_every_copy() -> None:
    rows = frame_of([(0, 1, "a"), (0, 2, "b"), (0, 3, "b"), (0, 4, "c"), (0, 5, "c")])
    earlier = pl.LazyFrame(
        {
            "record": ["key of b", "key of b", "key of z"],
            EARLIER: [9, 8, 7],
            "_kept_file": ["march.csv"] * 3,
            "_kept_row": [72, 70, 71],
            "_kept_job": ["march.job"] * 3,
            "_kept_state": ["delivered"] * 3,
        },
        schema_overrides={"_kept_row": pl.UInt64},
    )
    record = pl.concat_str(pl.lit("key of "), IDENTITY)
    found = marks(rows, "first", record=record, left_out=LeftOut(earlier)).sort("__row")
    assert found.rows() == [
        (0, 2, None, "march.csv", 70, "march.job", "delivered"),
        (0, 3, None, "march.csv", 70, "march.job", "delivered"),
        (0, 5, 0, None, 4, None, None),
    ]


def test_what_was_sent_is_left_out_by_its_place_and_so_is_every_copy_of_it() -> None:
    rows = frame_of([(0, 1, "a"), (0, 2, "b"), (1, 1, "a"), (1, 2, "c"), (1, 3, "c")])
    places = pl.LazyFrame(
        {
            "__file": [1, 7],
            "__row": [1, 7],
            "_kept_file": ["old.csv", "old.csv"],
            "_kept_row": [1, 7],
            "_kept_job": ["old.job", "old.job"],
            "_kept_state": ["unknown", "delivered"],
        },
        schema_overrides={"__file": pl.UInt32, "__row": pl.UInt64, "_kept_row": pl.UInt64},
    )
    found = marks(rows, "first", left_out=LeftOut(by_place=places)).sort("__file", "__row")
    assert found.rows() == [
        (0, 1, None, "old.csv", 1, "old.job", "unknown"),
        (1, 1, None, "old.csv", 1, "old.job", "unknown"),
        (1, 3, 1, None, 2, None, None),
    ]


_HUGE = """
import sys
import polars as pl
from backfill.prepare.dedupe import marks
from backfill.prepare.identity import IDENTITY
from backfill.prepare.left_out import LeftOut
from tests.peak_memory import peak_memory

ours = pl.DataFrame(
    {"__file": [0, 0], "__row": [1, 2], IDENTITY: ["7" * 40, "other"]},
    schema={"__file": pl.UInt32, "__row": pl.UInt64, IDENTITY: pl.String},
)
earlier = pl.scan_parquet(sys.argv[1]).with_columns(
    __earlier=pl.col("_kept_row"), _kept_job=pl.lit("a.job"), _kept_state=pl.lit("delivered")
)
small = marks(ours, "first", record=pl.col(IDENTITY), left_out=LeftOut(earlier.head(1_000)))
before = peak_memory()
found = marks(ours, "first", record=pl.col(IDENTITY), left_out=LeftOut(earlier))
assert found.select("__row", "_kept_row").rows() == [(1, 7)], found
print(peak_memory() - before)
"""


def test_of_a_huge_job_only_what_is_ours_too_is_held(tmp_path):
    pl.select(number=pl.int_range(1_500_000)).select(
        record=pl.when(pl.col("number") == 7)
        .then(pl.lit("7" * 40))
        .otherwise(pl.format("{}-of-a-record-key-of-some-length", "number")),
        _kept_file=pl.lit("events.csv"),
        _kept_row=pl.col("number").cast(pl.UInt64),
    ).write_parquet(tmp_path / "huge.parquet", row_group_size=50_000)
    ended = subprocess.run(
        [sys.executable, "-c", _HUGE, tmp_path / "huge.parquet"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(ended.stdout) < 150  # MB; all of them, held at once, take 350
