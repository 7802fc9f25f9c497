"""The column that says of which country a national phone number is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from phonenumbers import SUPPORTED_REGIONS

from backfill.discover.columns import ColumnProfile
from backfill.discover.spellings import words_of

__all__ = ["country_beside"]

_NAMED = frozenset({"country", "countrycode", "nation", "region", "iso", "market", "territory"})
_LIKELY = 0.8  # the share of values that are codes of ISO 3166


def country_beside(phone: ColumnProfile, columns: Iterable[ColumnProfile]) -> ColumnProfile | None:
    """The column of the phone's side whose values and name say that they are countries.

    Of several the one whose name has most in common with the phone's: `Shipping Country` for
    `Shipping Phone`.
    """
    likely = [
        each
        for each in columns
        if each.side == phone.side
        and _NAMED.intersection(words_of(each.name))
        and _coded(each) >= _LIKELY
    ]
    own = set(words_of(phone.name))

    def nearness(each: ColumnProfile) -> int:
        return len(own.intersection(words_of(each.name)))

    return max(likely, key=nearness, default=None)


def _coded(column: ColumnProfile) -> float:
    """The share of the frequent values that are codes of countries, such as `IL`."""
    total = sum(count for _, count in column.common)
    codes = sum(
        count
        for value, count in column.common
        if re.fullmatch("[A-Za-z]{2}", value.strip()) and value.strip().upper() in SUPPORTED_REGIONS
    )
    return codes / total if total else 0.0
