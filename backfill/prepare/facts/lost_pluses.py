"""Phones that have their calling code and lack the plus before it, as spreadsheets leave them.

`phone_region` would read `447700900101` as a national number of one country, and of some it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from backfill.checks.checked import trimmed
from backfill.checks.phone.parsing import is_possible, is_valid
from backfill.checks.text import as_text
from backfill.destination import Kind
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.first_rows import FirstRows
from backfill.prepare.mapping.inputs import Side

__all__ = ["PLUS_BEFORE", "PLUS_BEFORE_QUANTITY", "lack_their_plus", "notes_of_lost_pluses"]

PLUS_BEFORE = "'+' || {}"
"""SQL that gives whole numbers their plus back."""

PLUS_BEFORE_QUANTITY = "'+' || TRY_CAST({} AS BIGINT)"
"""The same where the column's type is a floating-point number."""

_MANY = 0.1  # the share of phones that is worth a note
# What is dialled in a country is seldom a number of another one behind a plus, and whole numbers
# nearly always are.
_POSSIBLE, _VALID = 0.8, 0.3
_BARE = "^([1-9][0-9]{7,14})$"


def lack_their_plus(texts: pl.Series) -> bool:
    """Whether nearly all of the texts are whole numbers without their plus."""
    filled = texts.drop_nulls()
    bare = "+" + filled.str.extract(_BARE).drop_nulls()
    if not len(bare) or len(bare) < (1 - _MANY) * len(filled):
        return False
    possible, valid = _shares(bare)
    return possible >= _POSSIBLE and valid >= _VALID


def _shares(numbers: pl.Series) -> tuple[float, float]:
    """The shares of numbers that are possible, and that are valid."""
    number = pl.col("number")
    return (
        numbers.to_frame("number").select(is_possible(number).mean(), v=is_valid(number).mean())
    ).row(0)


def notes_of_lost_pluses(binding: Binding, first: Mapping[Side, FirstRows]) -> Iterator[str]:
    """A note for each phone of which many values are whole numbers without their plus."""
    for each in binding.inputs:
        if each.field.kind not in (Kind.PHONE, Kind.TARGET) or each.side is None:
            continue
        text = trimmed(as_text(each.raw, each.dtype, timezone=None).value)
        number = "+" + text.str.extract(_BARE)
        rows = first[each.side].readable.select(phone=text, number=number).drop_nulls("phone")
        bare = rows.drop_nulls("number")
        if bare.height <= _MANY * rows.height:
            continue
        possible, valid = _shares(bare["number"])
        sql = PLUS_BEFORE_QUANTITY if each.dtype.is_float() else PLUS_BEFORE
        if possible >= _POSSIBLE and valid >= _VALID:
            yield (
                f"{bare.height:,} of the first {rows.height:,} values of {each.name} are digits"
                f" such as {bare['phone'][0]!r}, and {possible:.0%} of these are whole numbers once"
                f' a plus stands before them: {{ sql = "{sql.format("…")}" }} gives it back.'
                " `phone_region` would read them as numbers of one country, which some of them are"
                " by chance"
            )
