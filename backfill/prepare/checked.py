"""What checking one field gives: its canonical value, and which rules the raw value broke."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = ["Broken", "Checked", "absent", "never", "trimmed"]

Broken = tuple[tuple[str, pl.Expr], ...]
"""Rule names without the field, each with a Boolean expression that is true where it is broken."""

# White space, and the marks without width that phone books, spreadsheets and right-to-left
# texts leave around a value when it is copied.
_AROUND = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
    "\u202f\u205f\u2060\u2066\u2067\u2068\u2069\u3000\ufeff"
)


@dataclass(frozen=True)
class Checked:
    """The canonical value of a field and the rules that it broke.

    `value` is String, or Datetime("us", "UTC") for a time; it is null where the raw value is
    missing or has no canonical form. The expressions in `broken` are never null, and a missing
    value breaks none of them.
    """

    value: pl.Expr
    broken: Broken = ()


def trimmed(text: pl.Expr) -> pl.Expr:
    """The text without white space and invisible marks around it; null where nothing is left."""
    inner = text.str.strip_chars(_AROUND)
    return pl.when(inner != "").then(inner)


def absent(raw: pl.Expr, dtype: pl.DataType | type[pl.DataType] = pl.String) -> pl.Expr:
    """Nulls of a type, as many as `raw` has rows."""
    return pl.when(raw.is_null()).then(pl.lit(None, dtype)).otherwise(pl.lit(None, dtype))


def never(raw: pl.Expr) -> pl.Expr:
    """False, as many times as `raw` has rows."""
    return raw.is_null() & raw.is_not_null()
