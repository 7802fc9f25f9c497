"""What checking one field gives: its canonical value, and which rules the raw value broke.

A check is a chain of stages, each a few columns worked out from those before it. Polars
evaluates an expression wherever it stands, so a chain written as nested expressions would be
worked out again for the value and for each rule; held in one struct, each stage runs once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

__all__ = [
    "Broken",
    "Checked",
    "Stage",
    "Steps",
    "absent",
    "in_lower_case",
    "in_upper_case",
    "seldom",
    "trimmed",
]

Broken = tuple[tuple[str, pl.Expr], ...]
"""Rule names without the field, each with a Boolean expression that is true where it is broken."""

Stage = Mapping[str, pl.Expr]

# White space, and the marks without width that phone books, spreadsheets and right-to-left
# texts leave around a value when it is copied.
_AROUND = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u00a0\u061c\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d"
    "\u202e\u202f\u205f\u2060\u2066\u2067\u2068\u2069\u3000\ufeff"
)


@dataclass(frozen=True)
class Steps:
    """Stages over `pl.field("raw")`, or over `pl.field("text")` once the value is text.

    The last of them leaves the canonical value in `value`, and each rule has a field of its
    name. A rule that is null, as it is for a missing value, is not broken. `converted` names the
    field that holds, where a value was read as another one, what it was read from.
    """

    stages: tuple[Stage, ...]
    rules: tuple[str, ...] = ()
    converted: str | None = None


@dataclass(frozen=True)
class Checked:
    """The canonical value of a field and the rules that it broke.

    `packed` is one struct of all of it. Whoever needs more than one part puts it into a column
    first and reads the parts there (`within`), so that the work is done once.
    """

    packed: pl.Expr
    rules: tuple[str, ...] = ()
    source: str | None = None  # `converted` of the steps

    @classmethod
    def from_steps(cls, raw: pl.Expr, steps: Steps, **beside: pl.Expr) -> Checked:
        """The steps, begun with a raw value, and with fields beside it that they read."""
        packed = pl.struct(raw.alias("raw"), *(each.alias(name) for name, each in beside.items()))
        for stage in steps.stages:
            packed = packed.struct.with_fields(**stage)
        settled = {rule: pl.field(rule).fill_null(value=False) for rule in steps.rules}
        packed = packed.struct.with_fields(**settled) if settled else packed
        return cls(packed, steps.rules, steps.converted)

    def within(self, column: str) -> Checked:
        """The same parts, read from the column that holds `packed`."""
        return Checked(pl.col(column), self.rules, self.source)

    @property
    def value(self) -> pl.Expr:
        """String, or Datetime("us", "UTC") for a time; null where the raw value is missing or has
        no canonical form.
        """
        return self.packed.struct.field("value")

    @property
    def converted(self) -> pl.Expr | None:
        """What the value was read from where it was read as another one, else null; None where
        no value ever is.
        """
        return self.packed.struct.field(self.source) if self.source else None

    @property
    def broken(self) -> Broken:
        """Never null; a missing value breaks nothing."""
        return tuple((rule, self.packed.struct.field(rule)) for rule in self.rules)


def seldom(stages: Sequence[Stage], gives: Mapping[str, pl.DataType], **of: pl.Expr) -> pl.Expr:
    """A struct of the fields that it `gives`, by stages over the fields `of` others.

    They are for what few rows hold: where the first of these has no value, nothing is worked out,
    and all is null.
    """
    first, dtype = next(iter(of)), pl.Struct(gives)

    def work(rows: pl.Series) -> pl.Series:
        frame = rows.struct.unnest()
        known = frame[first].is_not_null()
        if not known.any():
            return pl.repeat(None, frame.height, dtype=dtype, eager=True)
        packed = pl.struct(pl.all())
        for stage in stages:
            packed = packed.struct.with_fields(**stage)
        # As a column first: each field that is selected would work all stages out again.
        found = frame.filter(known).select(packed.alias("packed")).unnest("packed")
        at = pl.select(pl.when(known).then(known.cum_sum() - 1)).to_series()
        return found.select(pl.col(*gives).gather(at)).to_struct(rows.name)

    given = pl.struct(each.alias(name) for name, each in of.items())
    return given.map_batches(work, return_dtype=dtype, is_elementwise=True)


def trimmed(text: pl.Expr) -> pl.Expr:
    """The text without white space and invisible marks around it; null where nothing is left."""
    return text.map_batches(_trimmed, return_dtype=pl.String, is_elementwise=True)


def _trimmed(texts: pl.Series) -> pl.Series:
    """A function, because an expression that named the inner text twice would trim it twice."""
    inner = texts.str.strip_chars(_AROUND)
    return inner.set(inner == "", None)


def in_lower_case(text: pl.Expr) -> pl.Expr:
    """A text of ASCII in lower case, any other one as it stands: others have letters that become
    one of ASCII, as the KELVIN SIGN becomes a `k`."""
    return _where_ascii(text, lambda texts: texts.str.to_lowercase())


def in_upper_case(text: pl.Expr) -> pl.Expr:
    """A text of ASCII in upper case, any other one as it stands."""
    return _where_ascii(text, lambda texts: texts.str.to_uppercase())


def _where_ascii(text: pl.Expr, change: Callable[[pl.Series], pl.Series]) -> pl.Expr:
    def changed(texts: pl.Series) -> pl.Series:
        return change(texts).zip_with(texts.str.len_bytes() == texts.str.len_chars(), texts)

    return text.map_batches(changed, return_dtype=pl.String, is_elementwise=True)


def absent(raw: pl.Expr, dtype: pl.DataType | type[pl.DataType] = pl.String) -> pl.Expr:
    """Nulls of a type, as many as `raw` has rows."""
    return pl.when(raw.is_null()).then(pl.lit(None, dtype)).otherwise(pl.lit(None, dtype))
