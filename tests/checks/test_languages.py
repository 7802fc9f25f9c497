"""Languages are codes of ISO 639-1 in letters of ASCII."""

from __future__ import annotations

import polars as pl

from backfill.checks.checked import Steps
from backfill.checks.languages import LANGUAGES, check_language
from tests.checks.judged import judged_values


def judged(codes: list[str]) -> list[tuple[str | None, str]]:
    steps = check_language()
    whole = Steps(({"text": pl.field("raw")}, *steps.stages), steps.rules)
    return judged_values(pl.Series(codes), whole).rows()


def test_a_code_is_sent_in_lower_case_and_nothing_else_becomes_one() -> None:
    codes = sorted(LANGUAGES)
    assert judged([*codes, *map(str.upper, codes), " He "]) == [
        *((code, "") for code in [*codes, *codes]),
        ("he", ""),
    ]
    others = ["\N{KELVIN SIGN}A", "\N{KELVIN SIGN}a", "eng", "iw", "é"]
    assert [broken for _, broken in judged(others)] == ["language"] * len(others)
