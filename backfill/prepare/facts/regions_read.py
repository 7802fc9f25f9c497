"""What `phone_region` finds in its column that is no code of a country, such as `Germany`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Literal

import polars as pl
from phonenumbers import SUPPORTED_REGIONS

from backfill.checks.checked import in_upper_case
from backfill.config import Column, Config, Lookup
from backfill.prepare.mapping.binding import Binding
from backfill.sources.scan import Source

__all__ = ["notes_of_regions"]

_NAMED = 4  # values that are shown
_LONGEST = 40  # characters of each


def notes_of_regions(
    config: Config,
    binding: Binding,
    broken: Collection[str],
    *,
    events: Source,
    contacts: Source | None,
) -> Iterator[str]:
    """A note for each phone that rows were `broken` by, where its region is often no code."""
    for each in binding.inputs:
        source = contacts if each.side == "contacts" else events
        if each.region is None or source is None or f"{each.name}|e164" not in broken:
            continue
        named = source.scan().filter(pl.col("__raw").is_null()).select(region=each.region)
        counts = (
            named.drop_nulls()
            .group_by("region")
            .len("rows")
            .with_columns(code=in_upper_case(pl.col("region")).is_in(list(SUPPORTED_REGIONS)))
            .sort("rows", "region", descending=[True, False])
            .collect(engine="streaming")
        )
        others = counts.filter(~pl.col("code"))
        if others.height:
            yield _note(config, each.side, others, int(counts["rows"].sum()))


def _note(
    config: Config, side: Literal["events", "contacts"] | None, others: pl.DataFrame, rows: int
) -> str:
    shown = others.head(_NAMED).select(pl.col("region").str.slice(0, _LONGEST), "rows").rows()
    some = ", ".join(f"{name!r} {count:,} times" for name, count in shown)
    more = ", …" if others.height > _NAMED else ""
    return (
        f"phone_region: {others['rows'].sum():,} of {rows:,} rows of the {side} name their country"
        f" by no code of two letters ({some}{more}), and no phone of theirs was converted."
        f" {_help(config, [name for name, _ in shown], more)}"
    )


def _help(config: Config, names: list[str], more: str) -> str:
    spec = config.rules.phone_region
    column = spec.column if isinstance(spec, Lookup) else spec
    if not isinstance(column, Column):
        return "Add them to its SQL"
    known = [f'{json.dumps(name, ensure_ascii=False)} = "…"' for name in names]
    start = "Add to its `values`: " if isinstance(spec, Lookup) else "A table translates them: "
    name = f"{column.side}.{column.name}" if column.side else column.name
    whole = f"phone_region = {{ column = {json.dumps(name)}, values = {{ {', '.join(known)} }} }}"
    return start + (", ".join(known) if isinstance(spec, Lookup) else whole) + more
