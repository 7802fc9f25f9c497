"""What a check makes of values: each canonical value, and the rules that it broke."""

from __future__ import annotations

import polars as pl

from backfill.checks.checked import Checked, Steps

__all__ = ["judged_values"]


def judged_values(raw: pl.Series, steps: Steps) -> pl.DataFrame:
    """Each value as `v` and its broken rules as `b`, with `;` between; both engines agree on it."""
    checked = Checked.from_steps(pl.col("raw"), steps)
    parts = checked.within("checked")
    broken = pl.concat_str(
        [pl.when(expr).then(pl.lit(rule)) for rule, expr in parts.broken],
        separator=";",
        ignore_nulls=True,
    )
    query = (
        raw.alias("raw")
        .to_frame()
        .lazy()
        .select(checked.packed.alias("checked"))
        .select(parts.value.alias("v"), broken.alias("b"))
    )
    found = query.collect(engine="in-memory")
    assert query.collect(engine="streaming").equals(found)
    return found
