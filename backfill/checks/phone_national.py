"""What is dialled inside a country, as E.164.

Source: the configuration's `phone_region`; without it a number without `+` is refused.
"""

from __future__ import annotations

import phonenumbers
import polars as pl

from backfill.checks import phone_plans
from backfill.checks.phone_parsing import parsed

__all__ = ["from_national"]

# Digits, and what stands between them. Letters, extensions and star codes are left alone.
_DIALLED = "^[(]?[0-9][0-9 \u00a0().\u2010-\u2014/-]{1,38}$"


def from_national(text: pl.Expr, region: str) -> pl.Expr:
    """What is dialled in a region, as E.164: "054-123 4567" in IL becomes +972541234567.

    The result is what `parse(text, region)` gives, formatted as E.164; null where it gives
    nothing, or a number of a length that the country does not have, or where the text is more
    than digits and the separators between them. Texts that begin with the international prefix
    or the country's own calling code go through the library, some 25,000 distinct ones a
    second; all others are read a column at a time.
    """

    plan = phone_plans.region(region)

    def read(texts: pl.Series) -> pl.Series:
        return _read(texts, plan, region)

    return text.map_batches(read, return_dtype=pl.String, is_elementwise=True)


def _read(texts: pl.Series, plan: phone_plans.Region, region: str) -> pl.Series:
    digits = texts.set(~texts.str.contains(_DIALLED), None).str.replace_all("[^0-9]", "")
    abroad = digits.str.contains(plan.abroad).fill_null(value=False)
    here = parsed(f"+{plan.code}" + digits.set(abroad, None), plan.prefixes)
    here = here.set(~here.str.contains(plan.complete), None)
    distinct = digits.filter(abroad).unique()
    if distinct.is_empty():
        return here
    read = [_read_one(each, region) for each in distinct]
    there = digits.replace_strict(distinct, pl.Series(read, dtype=pl.String), default=None)
    return here.zip_with(~abroad, there)


def _read_one(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
