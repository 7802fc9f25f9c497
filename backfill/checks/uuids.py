"""Contact ids: UUIDs in the one form that is sent.

Source: Pristo `Contact.id` (`format: uuid`), called "client-owned" there: many companies' own
ids are no UUIDs, and become ones by name (RFC 9562, version 5) where a namespace is given.
"""

from __future__ import annotations

import re
import uuid

import polars as pl
import polars_hash as plh

from backfill.checks.checked import Steps, trimmed

__all__ = ["check_uuid", "is_uuid", "one_spelling", "spelling_in", "without_case"]

_FLOAT = "^-?[0-9]+[.]0+$|^-?[0-9]+(?:[.,][0-9]+)?[eE][+][0-9]+$"
_EXACT: dict[pl.DataType, int] = {pl.Float64(): 2**53, pl.Float32(): 2**24}
"""Below this a floating-point number holds every whole one, and no other one is rounded to it."""

_FORM = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def check_uuid(namespace: uuid.UUID | None, dtype: pl.DataType) -> Steps:
    """The 36-character form in lower case. Rules: `float`, and without a namespace `uuid`.

    With a namespace, whatever is not in that form already becomes the UUIDv5 of its text
    (without the white space around it, its case kept). But `123.0` and `1.2E+11` are what
    spreadsheets and frames make of a number, and would become another contact than `123` does;
    so would what a column of type `dtype`, where that is a floating-point number, has rounded. A
    fraction is the id of its digits, 1.5 of "1.5", as NDJSON and text have it.
    """
    text, exact, inner = pl.field("text"), pl.field("exact"), pl.field("inner")
    lower, formed = pl.field("lower"), pl.field("formed")
    stages = (
        {"exact": text.str.contains(_FORM)},
        # Most UUIDs stand in their form already, and only other texts are looked at any further.
        {"inner": trimmed(pl.when(~exact).then(text))},
        {"lower": inner.str.to_lowercase()},
        {"formed": exact | lower.str.contains(_FORM), "float": _is_float(inner, dtype)},
        {"lower": pl.when(exact).then(text).otherwise(lower)},
    )
    if namespace is None:
        wrong = ~formed & ~pl.field("float")
        return Steps((*stages, {"value": lower, "uuid": wrong}), ("float", "uuid"))
    other = pl.when(~formed).then(inner)
    named = plh.UUIDHashNameSpace(other).uuid5(namespace=str(namespace))
    value = pl.when(formed).then(lower).otherwise(named)
    return Steps((*stages, {"value": value}), ("float",))


def is_uuid(text: str) -> bool:
    """Whether a text has the 36-character form, in either case."""
    return re.fullmatch(_FORM, text.lower()) is not None


def _is_float(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if not dtype.is_float():
        return text.str.contains(_FLOAT)
    number = pl.field("raw")
    return (number.abs() >= _EXACT.get(dtype, 2**11)) & number.is_finite()


def one_spelling(texts: pl.Expr) -> pl.Expr:
    """Texts as `trimmed` leaves them, in which UUIDs of the 36-character form are in lower case."""
    return texts.map_batches(_spelled, return_dtype=pl.String, is_elementwise=True)


def _spelled(texts: pl.Series) -> pl.Series:
    """Most columns of UUIDs hold no other text, and to see that is cheaper than any change."""
    exact = texts.str.contains(_FORM)
    if exact.all():
        return texts
    inner = texts.to_frame("text").select(trimmed(pl.col("text"))).to_series()
    lower = inner.str.to_lowercase()
    if (lower == inner).all():
        return inner.alias(texts.name)
    formed = lower.str.contains(_FORM).fill_null(value=False)
    return lower.zip_with(formed, inner).alias(texts.name)


def spelling_in(checked: pl.Expr) -> pl.Expr:
    """What `one_spelling` gives of the texts of `check_uuid`, from the struct that its stages left:
    it has matched them already.
    """
    part = checked.struct.field
    return pl.when(part("formed")).then(part("lower")).otherwise(part("inner"))


def without_case(texts: pl.Expr) -> pl.Expr:
    """What the texts are alike in that `one_spelling` leaves in different cases."""
    return texts.map_batches(_lowered, return_dtype=pl.String, is_elementwise=True)


def _lowered(texts: pl.Series) -> pl.Series:
    if texts.str.contains(_FORM).all():
        return texts
    return texts.to_frame("text").select(trimmed(pl.col("text")).str.to_lowercase()).to_series()
