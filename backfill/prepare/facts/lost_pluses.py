"""Phones that have their calling code and lack the plus before it, as spreadsheets leave them.

`phone_region` would read `447700900101` as a national number of one country, and of some it is one.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from backfill.checks.checked import trimmed
from backfill.checks.phone.parsing import is_possible, is_valid
from backfill.checks.text import as_text
from backfill.destination import Kind
from backfill.prepare.mapping.binding import Binding
from backfill.sources.scan import Source

__all__ = ["notes_of_lost_pluses"]

_LOOKED_AT = 20_000  # rows
_MANY = 0.1  # the share of phones that is worth a note
# What is dialled in a country is seldom a number of another one behind a plus, and whole numbers
# nearly always are.
_POSSIBLE, _VALID = 0.8, 0.3


def notes_of_lost_pluses(
    binding: Binding, events: Source, contacts: Source | None
) -> Iterator[str]:
    """A note for each phone of which many values are whole numbers without their plus."""
    for each in binding.inputs:
        source = contacts if each.side == "contacts" else events
        if each.field.kind not in (Kind.PHONE, Kind.TARGET) or each.side is None or source is None:
            continue
        text = trimmed(as_text(each.raw, each.dtype, timezone=None).value)
        number = "+" + text.str.extract("^([1-9][0-9]{7,14})$")
        rows = (
            source.scan()
            .head(_LOOKED_AT)
            .filter(pl.col("__raw").is_null())
            .select(phone=text, number=number)
            .drop_nulls("phone")
            .collect(engine="streaming")
        )
        bare = rows.drop_nulls("number")
        if bare.height <= _MANY * rows.height:
            continue
        possible, valid = bare.select(
            is_possible(pl.col("number")).mean().alias("possible"),
            is_valid(pl.col("number")).mean().alias("valid"),
        ).row(0)
        if possible >= _POSSIBLE and valid >= _VALID:
            yield (
                f"{bare.height:,} of the first {rows.height:,} values of {each.name} are digits"
                f" such as {bare['phone'][0]!r}, and {possible:.0%} of these are whole numbers once"
                " a plus stands before them: { sql = \"'+' || …\" } gives it back. `phone_region`"
                " would read them as numbers of one country, which some of them are by chance"
            )
