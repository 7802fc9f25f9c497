"""Columns of files that differ meet in a type that loses nothing."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.text import as_text
from backfill.sources.schemas import MIXED, common_type, converted, union
from backfill.sources.timestamps import in_calendar


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [
        (pl.Int64(), pl.Int64(), pl.Int64()),
        (pl.Int32(), pl.Int64(), pl.Int64()),
        (pl.Int64(), pl.Float64(), pl.String()),
        (pl.UInt64(), pl.Float64(), pl.String()),
        (pl.Int128(), pl.Float32(), pl.String()),
        (pl.Int32(), pl.Float64(), pl.Float64()),
        (pl.UInt32(), pl.Float32(), pl.Float64()),
        (pl.Float32(), pl.Float64(), pl.Float64()),
        (pl.Int64(), pl.UInt64(), pl.Int128()),
        (pl.Int8(), pl.UInt8(), pl.Int16()),
        (pl.Int16(), pl.UInt32(), pl.Int64()),
        (pl.UInt8(), pl.UInt32(), pl.UInt32()),
        (pl.UInt8(), pl.Int64(), pl.Int64()),
        (pl.Int64(), pl.UInt128(), pl.String()),
        (pl.Decimal(10, 2), pl.Decimal(12, 2), pl.Decimal(12, 2)),
        (pl.Decimal(10, 2), pl.Decimal(10, 3), pl.String()),
        (pl.Decimal(10, 2), pl.Int64(), pl.String()),
        (pl.Decimal(10, 2), pl.Float64(), pl.String()),
        (pl.Null(), pl.Date(), pl.Date()),
        (pl.Int64(), pl.String(), pl.String()),
        (pl.Boolean(), pl.Int64(), pl.String()),
        (pl.Date(), pl.Datetime("us"), pl.String()),
        (pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("us")),
        (pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us")),
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
        (
            pl.List(pl.Struct({"a": pl.Int64()})),
            pl.List(pl.Struct({"a": pl.Float64()})),
            pl.List(pl.Struct({"a": pl.String()})),
        ),
        (
            pl.Struct({"a": pl.Int64()}),
            pl.Struct({"a": pl.UInt64()}),
            pl.Struct({"a": pl.Int128()}),
        ),
        (pl.Struct({"a": pl.Int64()}), pl.Struct({"a": pl.List(pl.Int64())}), MIXED),
        (pl.Array(pl.Int64(), 2), pl.Array(pl.Int64(), 3), MIXED),
        (pl.Binary(), pl.String(), MIXED),
        (pl.Binary(), pl.List(pl.Int64()), MIXED),
        (pl.List(pl.Binary()), pl.List(pl.String()), MIXED),
        (pl.Binary(), pl.Null(), pl.Binary()),
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
        (datetime(2024, 5, 6, 7, 8), pl.Datetime("us"), "2024-05-06T07:08:00"),  # noqa: DTZ001 - a time without a zone is the case
        (
            datetime(2024, 5, 6, 7, 8, tzinfo=timezone(timedelta(hours=3))).astimezone(UTC),
            pl.Datetime("us", "UTC"),
            "2024-05-06T04:08:00Z",
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


def test_times_that_nanoseconds_cannot_hold_meet_those_that_have_them():
    never = datetime(9999, 12, 31)  # noqa: DTZ001 - a column without a zone
    wanted = common_type(pl.Datetime("us"), pl.Datetime("ns"))
    assert met([never, None], pl.Datetime("us"), wanted) == [never, None]
    now = datetime(2024, 5, 6, 7, 8, 9, 123456)  # noqa: DTZ001 - the same
    assert met([now], pl.Datetime("ns"), wanted) == [now]


def test_a_time_too_far_for_the_other_unit_stays_one_that_no_calendar_holds():
    """PostgreSQL's `infinity`, as some exports write it in milliseconds."""
    far = pl.Series([2**63 - 1, 0]).cast(pl.Datetime("ms"))
    wanted = common_type(pl.Datetime("ms"), pl.Datetime("us"))
    frame = far.alias("x").to_frame().select(converted("x", far.dtype, wanted))
    assert frame.select(in_calendar(pl.col("x"), wanted)).to_series().to_list() == [False, True]


def met(values: list[object], dtype: pl.DataType, wanted: pl.DataType) -> list[object]:
    column = pl.Series("x", values, dtype=dtype)
    frame = column.to_frame().lazy().select(converted("x", dtype, wanted))
    assert frame.collect_schema() == {"x": wanted}
    return frame.collect().to_series().to_list()


def alone(values: list[object], dtype: pl.DataType) -> list[object]:
    column = pl.Series("x", values, dtype=dtype)
    text = as_text(pl.col("x"), dtype, timezone=None)
    return column.to_frame().select(text.value).to_series().to_list()


SINGLE: list[tuple[pl.DataType, st.SearchStrategy[object]]] = [
    (pl.Float64(), st.floats(allow_nan=False, allow_infinity=False)),
    (pl.Float32(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    (pl.Int128(), st.integers(-(2**127), 2**127 - 1)),
    (pl.Decimal(38, 3), st.decimals(-(10**9), 10**9, places=3)),
    (pl.Boolean(), st.booleans()),
    (pl.Date(), st.dates()),
    (pl.Time(), st.times()),
    (pl.Datetime("us", "Asia/Tokyo"), st.datetimes(timezones=st.just(UTC))),
    (pl.Datetime("ms", "UTC"), st.datetimes(timezones=st.just(UTC))),
]


@pytest.mark.parametrize(("dtype", "values"), SINGLE, ids=lambda each: str(each)[:40])
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_beside_text_a_value_is_the_text_that_it_is_alone(dtype, values, data):
    drawn = data.draw(st.lists(st.none() | values, min_size=1, max_size=12))
    texts = alone(drawn, dtype)
    assert met(drawn, dtype, pl.String()) == texts
    single = [None if text is None else {"__text": text, "__nested": None} for text in texts]
    assert met(drawn, dtype, MIXED) == single


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=5),
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=5),
)
def test_long_whole_numbers_and_fractions_meet_as_what_each_is_alone(whole, fractions):
    wanted = common_type(pl.Int64(), pl.Float64())
    found = met(list(whole), pl.Int64(), wanted)
    assert found == [None if each is None else str(each) for each in whole]
    assert met(list(fractions), pl.Float64(), wanted) == alone(list(fractions), pl.Float64())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_a_short_fraction_among_long_ones_is_written_as_it_is_alone(values):
    found = met(list(values), pl.Float32(), pl.Float64())
    assert alone(found, pl.Float64()) == alone(list(values), pl.Float32())


def test_the_values_inside_of_nested_ones_meet_by_the_same_rules():
    dtype = pl.List(pl.Struct({"id": pl.Float64(), "at": pl.Time(), "short": pl.Float32()}))
    other = pl.List(
        pl.Struct({"new": pl.Date(), "id": pl.Int64(), "at": pl.String(), "short": pl.Float64()})
    )
    values = [[{"id": 5.0, "at": time(7, 8), "short": 0.1}, {"id": 1e20}, None], [], None]
    assert met(list(values), dtype, common_type(dtype, other)) == [
        [
            {"id": "5", "at": "07:08:00", "short": 0.1, "new": None},
            {"id": "1" + "0" * 20, "at": None, "short": None, "new": None},
            None,
        ],
        [],
        None,
    ]
    long = {"new": None, "id": 2**53 + 1, "at": None, "short": None}
    assert met([[long]], other, common_type(dtype, other)) == [[{**long, "id": str(2**53 + 1)}]]


@pytest.mark.parametrize(
    ("dtype", "count", "text"),
    [
        (pl.Datetime("ms"), 2**62, f"{2**62}ms"),
        (pl.Datetime("us", "UTC"), -(2**62), f"-{2**62}us"),
        (pl.Date(), 2**31 - 1, "2147483647d"),
    ],
    ids=str,
)
def test_a_day_that_no_calendar_holds_is_a_number_with_its_unit_and_so_no_time(dtype, count, text):
    frame = pl.DataFrame({"x": [count, None]}).select(pl.col("x").cast(dtype))
    assert frame.select(converted("x", dtype, pl.String())).rows() == [(text,), (None,)]


def test_what_is_no_number_stays_visible_beside_text():
    values = [math.nan, math.inf, -math.inf, None]
    assert met(list(values), pl.Float64(), pl.String()) == ["NaN", "inf", "-inf", None]
