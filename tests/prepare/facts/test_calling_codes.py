"""Phones whose calling code stands in a column of its own."""

from __future__ import annotations

import polars as pl
import pytest

from backfill.prepare.facts.calling_codes import calling_code_beside

NATIONAL = ["7911123456", "7911123457", "2125550123"]
CODES = ["44", "44", "1"]
WHOLE = ["+447911123456", "+447911123457", "+12125550123"]


def both(codes, phones, name="country_code"):
    return pl.DataFrame({name: codes, "phone": phones, "amount": [1, 2, 3]})


@pytest.mark.parametrize(
    ("codes", "phones"),
    [
        (CODES, NATIONAL),
        ([f"+{each}" for each in CODES], NATIONAL),
        ([f"00{each} " for each in CODES], [f"0{each}" for each in NATIONAL[:2]] + NATIONAL[2:]),
        (list(map(int, CODES)), list(map(int, NATIONAL))),
        (list(map(float, CODES)), NATIONAL),
        (CODES, list(map(float, NATIONAL))),
    ],
)
def test_both_become_one_number(codes, phones):
    rows = both(codes, phones)
    found = calling_code_beside(rows, "phone")
    assert found is not None
    assert found[0] == "country_code"
    assert rows.select(pl.sql_expr(found[1]).alias("x"))["x"].to_list() == WHOLE


@pytest.mark.parametrize("name", ["Calling Code", "dial_code", "phonePrefix", "cc", "phone_prefix"])
def test_the_column_is_known_by_what_people_call_it(name):
    found = calling_code_beside(both(CODES, NATIONAL, name), "phone")
    assert found is not None
    assert found[0] == name


def test_a_zero_that_belongs_to_the_number_stays():
    rows = both(["39"] * 3, ["0669812345", "0669812346", "0669812347"])
    found = calling_code_beside(rows, "phone")
    assert found is not None
    assert rows.select(pl.sql_expr(found[1]).alias("x"))["x"][0] == "+390669812345"


@pytest.mark.parametrize(
    "rows",
    [
        both(CODES, WHOLE),
        both(["GB", "GB", "US"], NATIONAL),
        both(CODES, NATIONAL, "quantity"),
        both(["44", "44", "44"], ["12", "13", "14"]),
        both([None] * 3, NATIONAL),
    ],
    ids=["whole already", "codes of countries", "another name", "no phones", "empty"],
)
def test_what_makes_no_number_is_not_proposed(rows):
    assert calling_code_beside(rows, "phone") is None
    assert calling_code_beside(rows.clear(), "phone") is None


def test_a_code_that_is_missing_makes_no_number_of_another_country():
    rows = pl.DataFrame({"country_code": ["44"] * 11 + [None], "phone": [NATIONAL[0]] * 12})
    found = calling_code_beside(rows, "phone")
    assert found is not None
    assert rows.select(pl.sql_expr(found[1]).alias("x"))["x"][-1] is None
