"""Typed values as text."""

# ruff: noqa: DTZ001 - date-times without a zone are part of what is tested

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.text import as_text
from backfill.sources.schemas import MIXED


def written(
    values: list[object],
    dtype: pl.DataType | type[pl.DataType] | None = None,
    zone: str | None = None,
) -> list[tuple[str | None, str]]:
    raw = pl.Series("raw", values, dtype=dtype, strict=False)
    text = as_text(pl.col("raw"), raw.dtype, timezone=zone)
    broken = pl.concat_str(
        [pl.lit(""), *(pl.when(expr).then(pl.lit(rule)) for rule, expr in text.broken)],
        ignore_nulls=True,
    )
    return raw.to_frame().lazy().select(text.value.alias("v"), broken.alias("b")).collect().rows()


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        ("  as it stands ", pl.String, "  as it stands "),
        ("00123", pl.String, "00123"),
        ("1e21", pl.String, "1e21"),
        ("red", pl.Categorical(), "red"),
        ("red", pl.Enum(["red"]), "red"),
        (-7, pl.Int8, "-7"),
        (2**64 - 1, pl.UInt64, "18446744073709551615"),
        (2**100, pl.Int128, str(2**100)),
        (0.1, pl.Float64, "0.1"),
        (0.1, pl.Float32, "0.1"),
        (5.0, pl.Float64, "5"),
        (-0.0, pl.Float64, "0"),
        (1e21, pl.Float64, "1" + "0" * 21),
        (-1.5e-7, pl.Float64, "-0.00000015"),
        (1.2345678901234567e22, pl.Float64, "12345678901234568000000"),
        (5e-324, pl.Float64, "0." + "0" * 323 + "5"),
        (Decimal(100), pl.Decimal(10, 2), "100.00"),
        (Decimal("-0.05"), pl.Decimal(10, 2), "-0.05"),
        (True, pl.Boolean, "true"),
        (False, pl.Boolean, "false"),
        (date(2024, 2, 29), pl.Date, "2024-02-29"),
        (time(2, 3, 4), pl.Time, "02:03:04"),
        (time(2, 3, 4, 5), pl.Time, "02:03:04.000005"),
    ],
)
def test_a_scalar_is_written_without_an_exponent_and_as_the_standards_say(value, dtype, text):
    assert written([value, None], dtype) == [(text, ""), (None, "")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number_breaks_finite(value):
    assert written([value], pl.Float64) == [(None, "finite")]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_float_reads_back_as_itself_from_plain_digits(values):
    for value, (text, broken) in zip(values, written(list(values), pl.Float64), strict=True):
        assert broken == ""
        assert text is not None
        assert float(text) == value
        assert set(text) <= set("-.0123456789")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_short_float_reads_back_as_itself_from_plain_digits(values):
    texts = [text or "" for text, _ in written(list(values), pl.Float32)]
    again = pl.Series([float(text) for text in texts], dtype=pl.Float64).cast(pl.Float32)
    assert again.to_list() == [value + 0.0 for value in values]
    assert not any("e" in text for text in texts)


def test_a_moment_with_a_zone_is_written_in_utc_with_its_fraction():
    moments = pl.Series([datetime(2024, 5, 6, 7, 8, 9, 120_000), datetime(2024, 5, 6, 7)])
    zoned = moments.dt.replace_time_zone("Asia/Tokyo")
    assert written(zoned.to_list(), zoned.dtype) == [
        ("2024-05-05T22:08:09.120Z", ""),
        ("2024-05-05T22:00:00Z", ""),
    ]


def test_a_moment_without_a_zone_needs_the_configured_one():
    values: list[object] = [datetime(2024, 5, 6, 7), None]
    assert written(values) == [(None, "timezone"), (None, "")]
    assert written(values, zone="Asia/Tokyo") == [("2024-05-05T22:00:00Z", ""), (None, "")]


def test_a_moment_that_clocks_skipped_breaks_nonexistent():
    values: list[object] = [datetime(2024, 3, 31, 1, 59), datetime(2024, 3, 31, 2, 30)]
    assert written(values, zone="Europe/Berlin") == [
        ("2024-03-31T00:59:00Z", ""),
        (None, "nonexistent"),
    ]


@pytest.mark.parametrize("dtype", [pl.Datetime("ms"), pl.Datetime("ms", "Asia/Tokyo"), pl.Date])
@pytest.mark.parametrize("count", [2**31 - 1, -(2**31)])
def test_what_the_calendar_does_not_hold_breaks_range(dtype, count):
    far = count if dtype == pl.Date else count * 2**31
    raw = pl.DataFrame({"raw": [far, None]}).select(pl.col("raw").cast(dtype))
    text = as_text(pl.col("raw"), raw.schema["raw"], timezone="Asia/Tokyo")
    assert raw.select(text.value).to_series().null_count() == 2
    found = {rule: raw.select(expr).to_series().to_list() for rule, expr in text.broken}
    assert found.pop("range") == [True, False]
    assert all(each == [False, False] for each in found.values())


@pytest.mark.parametrize(
    ("values", "dtype", "rule"),
    [
        ([[1]], pl.List(pl.Int64), "nested"),
        ([{"a": 1}], pl.Struct({"a": pl.Int64}), "nested"),
        ([[1, 2]], pl.Array(pl.Int64, 2), "nested"),
        ([b"bytes"], pl.Binary, "type"),
        ([timedelta(1)], pl.Duration, "type"),
    ],
)
def test_what_has_no_one_text_form_is_refused_and_a_null_is_not(values, dtype, rule):
    assert written([*values, None], dtype) == [(None, rule), (None, "")]


EVERY_TYPE = [
    pl.String(), pl.Categorical(), pl.Enum(["red"]), pl.Boolean(),
    pl.Int8(), pl.Int64(), pl.UInt64(), pl.Int128(),
    pl.Float32(), pl.Float64(), pl.Decimal(10, 2),
    pl.Date(), pl.Time(), pl.Duration(), pl.Binary(), pl.Null(),
    pl.Datetime("ms"), pl.Datetime("us"), pl.Datetime("ns"),
    pl.Datetime("ms", "Asia/Tokyo"), pl.Datetime("us", "UTC"), pl.Datetime("ns", "Asia/Tokyo"),
    pl.List(pl.Int64()), pl.Array(pl.Int64(), 2), pl.Struct({"a": pl.Int64()}), MIXED,
]  # fmt: skip


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
@pytest.mark.parametrize("dtype", EVERY_TYPE, ids=str)
def test_a_null_of_any_type_is_missing_and_breaks_nothing(dtype, zone):
    assert written([None], dtype, zone) == [(None, "")]


def test_an_empty_text_is_missing_and_a_blank_one_is_not():
    assert written(["", " "]) == [(None, ""), (" ", "")]


def test_a_column_of_nulls_is_missing():
    assert written([None, None]) == [(None, ""), (None, "")]
