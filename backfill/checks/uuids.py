"""Contact ids: UUIDs in the one form that is sent.

Source: Pristo `Contact.id` (`format: uuid`), called "client-owned" there: many companies' own
ids are no UUIDs, and become ones by name (RFC 9562, version 5) where a namespace is given.
"""

from __future__ import annotations

import uuid

import polars as pl
import polars_hash as plh

from backfill.checks.checked import Steps, trimmed

__all__ = ["check_uuid", "one_spelling"]

_FORM = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def check_uuid(namespace: uuid.UUID | None) -> Steps:
    """The 36-character form in lower case. Rule: `uuid`.

    With a namespace, whatever is not in that form already becomes the UUIDv5 of its text
    (without the white space around it, its case kept), so it breaks nothing.
    """
    inner, lower, formed = pl.field("inner"), pl.field("lower"), pl.field("formed")
    stages = (
        {"inner": trimmed(pl.field("text"))},
        {"lower": inner.str.to_lowercase()},
        {"formed": lower.str.contains(_FORM)},
    )
    if namespace is None:
        return Steps((*stages, {"value": lower, "uuid": ~formed}), ("uuid",))
    other = pl.when(~formed).then(inner)
    named = plh.UUIDHashNameSpace(other).uuid5(namespace=str(namespace))
    return Steps((*stages, {"value": pl.when(formed).then(lower).otherwise(named)}))


def one_spelling(keys: pl.Expr) -> pl.Expr:
    """Texts in which UUIDs of the 36-character form are in lower case; all others as they are."""
    return keys.map_batches(_lowered, return_dtype=pl.String, is_elementwise=True)


def _lowered(keys: pl.Series) -> pl.Series:
    """Most columns hold no capital letter, and to see that is cheaper than to match the form."""
    lower = keys.str.to_lowercase()
    if (lower == keys).all():
        return keys
    return lower.zip_with(lower.str.contains(_FORM).fill_null(value=False), keys)
