"""Columns of files that differ meet in a type that loses nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest

from backfill.prepare.schemas import MIXED, common_type, converted, union


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [
        (pl.Int64(), pl.Int64(), pl.Int64()),
        (pl.Int32(), pl.Int64(), pl.Int64()),
        (pl.Int64(), pl.Float64(), pl.Float64()),
        (pl.Int64(), pl.UInt64(), pl.Int128()),
        (pl.Null(), pl.Date(), pl.Date()),
        (pl.Int64(), pl.String(), pl.String()),
        (pl.Boolean(), pl.Int64(), pl.String()),
        (pl.Date(), pl.Datetime("us"), pl.String()),
        (pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("ns")),
        (pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.String()),
        (
            pl.Datetime("us", "Asia/Jerusalem"),
            pl.Datetime("ms", "UTC"),
            pl.Datetime("us", "UTC"),
        ),
        (pl.List(pl.Int64()), pl.String(), MIXED),
        (pl.List(pl.Int64()), pl.Struct({"a": pl.Int64()}), MIXED),
        (pl.Struct({"a": pl.Int64()}), MIXED, MIXED),
        (pl.Int64(), MIXED, MIXED),
        (pl.Null(), MIXED, MIXED),
        (
            pl.Struct({"a": pl.Int64()}),
            pl.Struct({"a": pl.Int32()}),
            pl.Struct({"a": pl.Int64()}),
        ),
    ],
    ids=str,
)
def test_two_types_meet_the_same_way_from_both_sides(left, right, common):
    assert common_type(left, right) == common
    assert common_type(right, left) == common


def test_the_union_keeps_the_order_of_first_appearance():
    merged = union([{"b": pl.Int32(), "a": pl.String()}, {"c": pl.Date(), "b": pl.Int64()}])
    assert list(merged.items()) == [
        ("b", pl.Int64()),
        ("a", pl.String()),
        ("c", pl.Date()),
    ]


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (17, pl.Int64(), "17"),
        (2.5, pl.Float64(), "2.5"),
        (True, pl.Boolean(), "true"),
        (Decimal("1.50"), pl.Decimal(10, 2), "1.50"),
        (date(2024, 5, 6), pl.Date(), "2024-05-06"),
        (datetime(2024, 5, 6, 7, 8), pl.Datetime("us"), "2024-05-06T07:08:00.000000"),  # noqa: DTZ001 - a time without a zone is the case
        (
            datetime(2024, 5, 6, 7, 8, tzinfo=timezone(timedelta(hours=3))).astimezone(UTC),
            pl.Datetime("us", "UTC"),
            "2024-05-06T04:08:00.000000+00:00",
        ),
        ([1, 2], pl.List(pl.Int64()), "[1,2]"),
        ({"a": "}"}, pl.Struct({"a": pl.String()}), '{"a":"}"}'),
        ("x", pl.Categorical(), "x"),
    ],
    ids=str,
)
def test_a_value_that_becomes_text_reads_as_a_person_would_write_it(value, dtype, text):
    frame = pl.DataFrame({"x": pl.Series([value, None], dtype=dtype)})
    assert frame.select(converted("x", dtype, pl.String())).rows() == [(text,), (None,)]


def test_an_instant_stays_the_same_in_another_zone():
    frame = pl.DataFrame({"x": [datetime(2024, 5, 6, 7, 8, tzinfo=UTC)]}).select(
        pl.col("x").dt.convert_time_zone("Asia/Jerusalem")
    )
    wanted = pl.Datetime("us", "UTC")
    assert frame.select(converted("x", frame.schema["x"], wanted)).item() == datetime(
        2024, 5, 6, 7, 8, tzinfo=UTC
    )
