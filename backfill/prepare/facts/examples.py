"""Example rows for the rules that records broke: where they stand, and the value that did it."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from collections.abc import Sequence

import polars as pl

from backfill.jobdir.manifest import Example
from backfill.prepare.facts.plan_stats import Place
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.contacts import JOIN, one_each
from backfill.prepare.mapping.fields import MALFORMED, FieldMapping
from backfill.prepare.mapping.inputs import Input
from backfill.prepare.shown_values import shown
from backfill.sources.scan import Source

__all__ = ["examples_of"]

_LONGEST = 200  # characters of a value that are shown


def examples_of(
    places: MappingOf[str, Sequence[Place]],
    binding: Binding,
    mapping: FieldMapping,
    *,
    rejected: Sequence[str],
    contacts: Source | None,
    names: Sequence[str],
) -> dict[str, tuple[Example, ...]]:
    """Give each reason's places their values, read again from the files of the rejected rows.

    A value of a contact is read from the contacts; a rule about a whole record has none.
    """
    wanted = {place for each in places.values() for place in each}
    if not wanted:
        return {}
    chosen = pl.DataFrame(
        sorted(wanted), schema={"__file": pl.UInt32, "_row": pl.UInt64}, orient="row"
    )
    rows = (
        pl.scan_parquet(list(rejected), glob=False)
        .join(chosen.lazy(), on=["__file", "_row"], how="semi")
        .collect()
    )
    inputs = {each.name: each for each in (*binding.inputs, *filter(None, [binding.time]))}
    contact_rows = _contact_rows(rows, binding, mapping, contacts)
    found: dict[str, tuple[Example, ...]] = {}
    for reason, stands in places.items():
        each = inputs.get(reason.partition("|")[0])
        texts = _texts(rows, reason, each, contact_rows)
        found[reason] = tuple(
            Example(file=names[file], row=row, value=texts.get((file, row))) for file, row in stands
        )
    return found


def _contact_rows(
    rows: pl.DataFrame, binding: Binding, mapping: FieldMapping, contacts: Source | None
) -> pl.DataFrame | None:
    """The rows with the columns of the contacts that they were joined with, if with any."""
    if contacts is None or mapping.join is None:
        return None
    keys = rows.select("__file", "_row", mapping.join.events.alias(JOIN)).drop_nulls()
    matched = (
        contacts.scan()
        .select("__file", "__row", mapping.join.contacts.alias(JOIN), *binding.contacts_columns())
        .join(keys.lazy().select(JOIN), on=JOIN, how="semi")
        .sort("__file", "__row")
    )
    kept = one_each(matched, JOIN, binding).select(JOIN, *binding.contacts_columns())
    return keys.join(kept.collect(), on=JOIN)


def _texts(
    rows: pl.DataFrame, reason: str, each: Input | None, contact_rows: pl.DataFrame | None
) -> dict[Place, str | None]:
    if reason == MALFORMED:
        value, frame = pl.col("_raw"), rows
    elif each is None or each.side is None:
        return {}
    elif each.side == "events":
        value, frame = each.raw, rows
    elif contact_rows is not None:
        value, frame = each.raw, contact_rows
    else:
        return {}
    text = shown(value, each.dtype if each is not None else pl.String())
    if text is None:
        return {}
    values = frame.select("__file", "_row", text.str.slice(0, _LONGEST).alias("v"))
    return {(file, row): text for file, row, text in values.iter_rows()}
