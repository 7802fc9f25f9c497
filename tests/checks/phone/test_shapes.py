"""Phones as tools and people write them: no digit is added, left out or taken from elsewhere."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.checks.phone.test_check import judged

# As pandas, Excel, Google Sheets, LibreOffice, Salesforce and JavaScript write a number that was
# taken for a quantity.
FLOATS = [
    "+972540000188.0",
    "972540000188.0",
    "540000188.0",
    "0540000188.0",
    "+12025550143.50",
    "12025550143.00",
    "+12025550143.000",
    "540000188.",
    "540000188.5",
    "540000188,0",
    "+972540000188,00",
    "9.7E+11",
    "9.7254E+11",
    "9,7254E+11",
    "9.72540000188e+11",
    "+9.7254E+11",
    "1.20255501e10",
    "5E8",
    "5.4e+08",
    "972,540,000,188",
    "972,540,000,188.00",
    "+972,540,000,188",
    "972.540.000.188,00",
    "972 540 000 188,00",
    "972'540'000'188,0",
    "054-0000188.0",
    "+972 54-000-0188.0",
    "(054) 000 0188.00",
    "+1.202.555.0143.0",
    "-540000188.0",
    # What SQL makes of a plus and a decimal.
    "+1.255",
    "+44.1234",
    "+123456.789",
    "+1234.567890",
    "+12.345678901",
    "+0.123456789",
    "+35.123456789",
]

SEVERAL = [
    "+12025550143, +12025550144",
    "+12025550143;+12025550144",
    "+12025550143 +12025550144",
    "+12025550143+12025550144",
    "055-5000123 / 055-5000124",
    "055-5000123/4",
    "0555000123|0555000124",
    "0555000123, 0555000124",
    "0555000123\n0555000124",
    "0555000123 or 0555000124",
    "0555000123 או 0555000124",
    "0555000123 & 0555000124",
]

EXTENSIONS = [
    "054-0000188 (5)",
    "+12025550143 (5)",
    "+1 202 555 0143(12)",
    "+12025550143x5",
    "+1 202-555-0143 x 512",
    "+1 202 555 0143 ext. 4",
    "+1 202 555 0143 EXT 4",
    "+1 202 555 0143, ext: 44",
    "+1 202 555 0143 extension 44",
    "+12025550143;ext=4",
    "+12025550143#4",
    "+12025550143 #44",
    "+12025550143,,44",
    "+12025550143;44",
    "+12025550143p44",
    "055 500 0123 x4",
    "055 500 0123 שלוחה 4",
    "+7 495 123 45 67 доб. 12",
    "+55 11 3333-4444 ramal 12",
    "+49 30 23125 123 Durchwahl 4",
]


@pytest.mark.parametrize("level", ["e164", "possible", "valid"])
@pytest.mark.parametrize("region", [None, "IL", "US", "DE"])
def test_a_quantity_an_extension_and_two_numbers_are_refused_by_name(level, region):
    shapes = [(each, "float") for each in FLOATS]
    shapes += [(each, "several") for each in SEVERAL] + [(each, "extension") for each in EXTENSIONS]
    assert judged([text for text, _ in shapes], level, region) == shapes


def test_separators_that_people_write_are_left_out():
    numbers = [
        ("+1.2025550143", "+12025550143"),  # as domain registries write it
        ("+44.2079460018", "+442079460018"),
        ("+1.202.555.0143", "+12025550143"),
        ("+33.1.99.00.12.34", "+33199001234"),
        ("+1 202.555.0143", "+12025550143"),
        ("+1 (202) 555-0143", "+12025550143"),
        ("+1(202)555-0143", "+12025550143"),
        ("+1 (2025550143)", "+12025550143"),
        ("+ 1 202 555 0143", "+12025550143"),
        ("+1 - 202 - 555 - 0143", "+12025550143"),
        ("+1 202 555\u20110143", "+12025550143"),
        ("+49 30 23125-0", "+4930231250"),
        ("+972-55-500-0123", "+972555000123"),
    ]
    assert judged([written for written, _ in numbers], "e164") == [
        (number, "") for _, number in numbers
    ]


_CALLING_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
_CELLS = st.text("0123456789+-.,() /xXeE#;\u00a0", min_size=1, max_size=24)
_GROUPED = st.builds(
    lambda start, groups, gap, end: start + gap.join(groups) + end,
    st.sampled_from(["", "+", "0", "00", "(0", "+1 ", "972", "+44 (0)", "("]),
    st.lists(st.text("0123456789", min_size=1, max_size=7), min_size=1, max_size=4),
    st.sampled_from(["", " ", "-", ".", ") ", "/", ",", " - "]),
    st.sampled_from(["", "", ".0", ".50", " x4", " (5)", "E+11", ",5", "/7"]),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(_CELLS | _GROUPED, min_size=1, max_size=50),
    st.sampled_from([None, "IL", "US", "GB", "DE", "AR", "BR", "IT", "SG", "RU"]),
)
def test_the_digits_sent_are_those_that_came_in_but_for_the_way_there(cells, region):
    """What is left out can only be a prefix: trunk, carrier, international, calling code."""
    for cell, (value, broken) in zip(cells, judged(cells, "e164", region), strict=True):
        if broken or value is None:
            continue
        came = re.sub("[^0-9]", "", cell)
        if "+" in cell:
            assert value == f"+{came}"
            continue
        assert region is not None
        number = phonenumbers.parse(value)
        assert phonenumbers.is_valid_number(number)
        assert number == phonenumbers.parse(came, region)
        national = phonenumbers.national_significant_number(number)
        assert value == f"+{number.country_code}{national}"
        assert came.endswith(national)


def test_a_region_that_adds_or_exchanges_digits_converts_nothing():
    """Argentina's 15 becomes a 9 abroad; Anguilla's numbers are dialled without their area code."""
    for region, written in (("AR", "011 15-2345-6789"), ("AI", "235 1234")):
        number = phonenumbers.parse(written, region)
        assert phonenumbers.is_possible_number(number)
        assert judged([written], "e164", region) == [(written, "e164")]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9_999_999) | st.sampled_from(_CALLING_CODES),
            st.integers(1, 999_999_999),
        ),
        min_size=1,
        max_size=50,
    )
)
def test_a_decimal_behind_a_plus_is_a_number_only_as_registries_write_it(decimals):
    """Its point stands behind a calling code, and it has eight digits at least."""
    found = judged([f"+{whole}.{fraction}" for whole, fraction in decimals], "e164")
    for (whole, fraction), (number, rule) in zip(decimals, found, strict=True):
        digits = f"{whole}{fraction}"
        if rule != "float":
            assert whole < 1_000
            assert len(digits) >= 8
            assert rule == "e164" or number == f"+{digits}"
        elif whole in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            assert len(digits) < 8


def test_calling_codes_in_the_pattern_are_those_of_the_library():
    """And some that none uses: more may come, but none begins with another one."""
    known = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    numbers = [f"+{code}.{'2' * 9}" for code in range(1_000)]
    taken = {
        number[1:].partition(".")[0]
        for number, (_, rule) in zip(numbers, judged(numbers, "e164"), strict=True)
        if rule != "float"
    }
    assert known <= taken
    assert not {
        code for code in taken for other in taken if code != other and code.startswith(other)
    }
