"""How single typed values are written: the same whether they are sent alone or stand beside text.

Both who sends a value and who brings columns of different files together write it by these rules,
so 5.0 of one file and 5 of another are the same text.
"""

from __future__ import annotations

import polars as pl

__all__ = ["clock_written", "float_written", "moment_written"]


def float_written(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Floats in digits without an exponent, the fewest that mean this float.

    Whole ones have no point, both zeros are "0"; NaN and infinities are null.
    """
    wide = raw if dtype in (pl.Float32, pl.Float64) else raw.cast(pl.Float32)
    written = pl.when(wide.is_finite()).then(wide).cast(pl.String).str.strip_suffix(".0")
    short = pl.when(wide == 0).then(pl.lit("0")).otherwise(written)
    return short.map_batches(_in_digits, return_dtype=pl.String, is_elementwise=True)


def moment_written(naive: pl.Expr) -> pl.Expr:
    """Date-times without a zone as ISO 8601 has them, with the fraction that they have."""
    return naive.dt.to_string("%Y-%m-%dT%H:%M:%S%.f")


def clock_written(raw: pl.Expr) -> pl.Expr:
    """Times of the day, with the fraction that they have."""
    return raw.dt.to_string("%H:%M:%S%.f")


def _in_digits(numbers: pl.Series) -> pl.Series:
    """Numbers without exponents. Few columns have any, and writing them out takes ten steps."""
    if not numbers.str.contains("e", literal=True).any():
        return numbers
    number = pl.col("number")
    scientific = pl.when(number.str.contains("e", literal=True)).then(number)
    written = pl.coalesce(_without_exponent(scientific), number).alias(numbers.name)
    return numbers.to_frame("number").select(written).to_series()


def _without_exponent(scientific: pl.Expr) -> pl.Expr:
    """Write out "-1.5e-7" as "-0.00000015"; null stays null."""
    parts = scientific.str.extract_groups("^(-?)([0-9])(?:\\.([0-9]+))?e([+-]?[0-9]+)$").struct
    digits = parts.field("2") + parts.field("3").fill_null("")
    exponent = parts.field("4").str.strip_prefix("+").cast(pl.Int32)
    count = digits.str.len_bytes().cast(pl.Int32)
    whole = digits.str.pad_end(pl.max_horizontal(exponent + 1, pl.lit(0)), "0")
    small = "0." + digits.str.pad_start(pl.max_horizontal(count - exponent - 1, pl.lit(0)), "0")
    return parts.field("1") + pl.when(exponent < 0).then(small).otherwise(whole)
