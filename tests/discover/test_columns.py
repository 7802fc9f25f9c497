"""Columns are measured by the rules that will judge their values."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import polars as pl
import pytest

from backfill.destination import Kind
from tests.discover.frames import EMAILS, IDS, LABELS, PHONES, TIMES, profile


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Kind.UUID, IDS),
        (Kind.UUID, [each.upper() for each in IDS]),
        (Kind.PHONE, PHONES),
        (Kind.EMAIL, EMAILS),
        (Kind.LANGUAGE, ["en", "he", "fr"]),
        (Kind.TIME, TIMES),
        (Kind.TIME, [1_700_000_000, 1_700_000_001]),
        (Kind.TIME, [datetime(2024, 1, 1, tzinfo=UTC)]),
        (Kind.TIME, [date(2024, 1, 1)]),
        (Kind.TIME, ["2999-01-01T00:00:00Z"]),
    ],
)
def test_values_that_a_field_would_take_count_for_its_kind(kind, values):
    found = profile([*values, None])
    assert found.share(kind) == 1
    assert found.filled == len(values)


def test_shares_are_of_the_values_that_are_there():
    found = profile([*IDS[:3], "CUST-1", None, "", "  "])
    assert found.filled == 4
    assert found.share(Kind.UUID) == 0.75


def test_times_without_a_zone_are_told_from_those_with_one():
    assert profile(["2024-01-01 10:00", "2024-01-01T10:00:00Z"]).unzoned == 0.5
    assert profile([datetime(2024, 1, 1)]).unzoned == 1  # noqa: DTZ001 - such a time is the case
    assert profile([datetime(2024, 1, 1, tzinfo=UTC)]).unzoned == 0


def test_names_of_events_are_a_few_words_that_come_back():
    assert profile(LABELS * 10).coded
    assert profile(pl.Series(LABELS * 10, dtype=pl.Categorical)).coded
    assert not profile(IDS * 2).coded
    assert not profile(["1", "2"] * 10).coded
    assert not profile([f"a note of its own {number}" for number in range(100)]).coded


def test_the_most_frequent_values_come_first_as_they_stand():
    found = profile(["b", "a ", "b", "c", "a ", "b"])
    assert found.common == (("b", 3), ("a ", 2), ("c", 1))


def test_an_amount_is_no_national_phone_number():
    assert profile(["052-555-0123", "(02) 555 0123"]).national == 1
    assert profile(["1234567.25", "9876543.5"]).national == 0


def test_numbers_in_formulas_are_looked_at_from_inside():
    found = profile(['="+12025550143"', '="+12025550144"', "+12025550145", None])
    assert found.share(Kind.PHONE) == 1
    assert found.sql is not None
    assert found.sql.startswith("""CASE WHEN "column" LIKE '="%"'""")
    for values in (["=1+2", '="a"'], ['="+12025550143"', "x", "y"], [None, ""]):
        assert profile(values).sql is None


@pytest.mark.parametrize(
    ("values", "sql"),
    [
        ([12025550143, 447911123456, None], """'+' || "mobile\""""),
        (["12025550143", "447911123456 ", None], """'+' || "mobile\""""),
        ([12025550143.0, 447911123456.0, math.nan], """'+' || TRY_CAST("mobile" AS BIGINT)"""),
        (["'+12025550143", "'+447911123456", "+4915112345678"], """LTRIM("mobile", '''')"""),
    ],
)
def test_phones_are_looked_at_as_they_are_once_nothing_is_lost(values, sql):
    found = profile(values, "mobile")
    assert found.sql == sql
    assert found.share(Kind.PHONE) == 1
    assert profile(values, "order").sql is None


@pytest.mark.parametrize(
    "values", [["+12025550143"], [2025550143, 2125550144], ["054-1234567"], [1.5], [None, ""]]
)
def test_phones_that_lost_nothing_are_looked_at_as_they_stand(values):
    assert profile(values, "mobile").sql is None


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[1], [2]]),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([None, None]),
        pl.Series([], dtype=pl.String),
        pl.Series([b"a", b"b"]),
        pl.Series([True, False]),
        pl.Series([1.5, float("nan")]),
    ],
)
def test_a_column_of_any_type_can_be_looked_at(values):
    found = profile(values)
    assert found.share(Kind.UUID) == found.share(Kind.EMAIL) == found.share(Kind.TIME) == 0
