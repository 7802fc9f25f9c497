"""What a person is told of a phone that was refused."""

from __future__ import annotations

import pytest

from backfill.checks.phone.how_dialled import how_dialled, stray_mark


@pytest.mark.parametrize(
    ("phone", "words"), [("'+12025550143", "LTRIM"), (' ="+12025550143"', "TRIM(BOTH '=\"'")]
)
def test_what_a_spreadsheet_put_around_a_number_is_named_with_what_takes_it_away(phone, words):
    assert words in (stray_mark(phone) or "")


@pytest.mark.parametrize("phone", ["+12025550143", "2025550143", "", '"+12025550143"'])
def test_a_number_without_a_mark_has_no_story(phone):
    assert stray_mark(phone) is None


def test_a_country_is_named_by_letters_of_ascii():
    for code in ("il", " IL"):
        assert "dialled in IL" in (how_dialled("123", code) or "")
    for code in ("\N{LATIN SMALL LETTER DOTLESS I}l", "\N{LATIN SMALL LIGATURE FI}"):
        assert "is no code of a country" in (how_dialled("123", code) or "")
