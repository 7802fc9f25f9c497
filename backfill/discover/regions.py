"""The column that says of which country a national phone number is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from phonenumbers import SUPPORTED_REGIONS

from backfill.discover.columns import ColumnProfile
from backfill.discover.names.addressees import Whose, whose
from backfill.discover.names.spellings import words_of

__all__ = ["country_beside", "names_of_countries"]

_NAMED = frozenset({"country", "countrycode", "nation", "region", "iso", "market", "territory"})
_ENDS = ("country", "countrycode")  # of names without a mark between their words
_MOST = 60  # different names of countries that a table is offered for
_NAME = r"[^\W\d_][^\d_@]{1,59}"


def country_beside(phone: ColumnProfile, columns: Iterable[ColumnProfile]) -> ColumnProfile | None:
    """The column of the phone's side whose values and name say that they are countries.

    One of codes goes before one of names. Of several the one whose name has most in common with
    the phone's: `Shipping Country` for `Shipping Phone`.
    """
    own = set(words_of(phone.name))
    likely = [
        (names is not None and not names, len(own.intersection(words_of(each.name))), each)
        for each in columns
        if each.side == phone.side
        and _named(each.name)
        and whose(each.name, phone.name) is not Whose.ANOTHERS
        and each.filled
        and (names := names_of_countries(each)) is not None
    ]
    return max(likely, key=lambda found: found[:2], default=(None, 0, None))[2]


def names_of_countries(column: ColumnProfile) -> tuple[str, ...] | None:
    """The values that are no codes of countries (such as `IL`), most frequent first.

    None where the values are none of a few names either.
    """
    names = tuple(
        dict.fromkeys(
            value.strip()
            for value, _ in column.common
            if not re.fullmatch("[A-Za-z]{2}", value.strip())
            or value.strip().upper() not in SUPPORTED_REGIONS
        )
    )
    few = column.distinct <= _MOST and all(re.fullmatch(_NAME, each) for each in names)
    return names if few or not names else None


def _named(name: str) -> bool:
    words = words_of(name)
    return bool(_NAMED.intersection(words)) or "".join(words).endswith(_ENDS)
