"""The first rows of both sides, read once for all that is noticed in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from backfill.destination import Kind
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.inputs import Side
from backfill.sources.scan import Source

__all__ = ["FirstRows", "first_rows"]

_LOOKED_AT = 20_000  # rows
_LOOKED_INTO = frozenset({Kind.PHONE, Kind.TARGET, Kind.UUID})  # of whatever format the files are


@dataclass(frozen=True)
class FirstRows:
    """The first rows of one side, with the columns that something is noticed in.

    `readable` leaves out those that no reader can read; `complete` says that there are no others
    than `rows`.
    """

    rows: pl.DataFrame
    readable: pl.DataFrame
    complete: bool


def first_rows(
    binding: Binding, events: Source, contacts: Source | None
) -> Mapping[Side, FirstRows]:
    """The first rows of each side that there is."""
    sides: dict[Side, Source | None] = {"events": events, "contacts": contacts}
    return {
        side: _first_of(source, _columns(binding, side, source))
        for side, source in sides.items()
        if source is not None
    }


def _columns(binding: Binding, side: Side, source: Source) -> list[str]:
    """Of text files all columns that are used, and of others those of ids and phones."""
    text = any(each.location.format != "parquet" for each in source.files)
    inputs = [each for each in binding.inputs_for(side) if text or each.field.kind in _LOOKED_INTO]
    used = {name for each in inputs for name in each.columns()}
    if binding.time is not None and binding.time.side == side:
        used |= binding.time.columns()
    key = binding.contact_key if side == "events" else binding.contacts_key
    if text and key is not None:
        used |= key.columns()
    return [name for name in source.columns if name in used]


def _first_of(source: Source, columns: list[str]) -> FirstRows:
    malformed = pl.col("__raw").is_not_null()
    first = source.scan().select("__file", "__row", malformed, *columns).head(_LOOKED_AT)
    rows = first.collect(engine="streaming")
    broken = rows.drop_in_place("__raw")
    readable = rows.filter(~broken) if broken.any() else rows
    return FirstRows(rows, readable, source.rows <= _LOOKED_AT)
