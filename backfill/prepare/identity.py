"""What makes two records the same one, as one text and as one UUID.

The text is the identity's values one after another, each with its length in bytes before it
(`4:free`; `:` alone for a missing one), so two texts are equal exactly when all values are:
comparing texts is comparing values. The record
key is the UUIDv5 (RFC 9562) of that text in a namespace of the destination, the population
and the identity's names, so it is the same on every machine and in every version.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import polars_hash as plh

from backfill.destinations import Kind
from backfill.prepare.binding import Binding
from backfill.prepare.inputs import Input

__all__ = ["IDENTITY", "Identity", "identity_of"]

IDENTITY = "__identity"

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "backfill:record")
_MISSING = ":"
_FRAGMENT = "__named"


@dataclass(frozen=True)
class Identity:
    """`fragments` are evaluated once for a contact; `text` on the joined rows gives the identity.

    `record` gives the record key of the column IDENTITY.
    """

    fragments: tuple[pl.Expr, ...]
    text: pl.Expr
    record: pl.Expr


def identity_of(binding: Binding, population: str | None) -> Identity:
    """The expressions of a binding's identity. Canonical columns bear their fields' names."""
    inputs = {each.name: each for each in binding.inputs}
    if binding.time is not None:
        inputs[binding.time.name] = binding.time
    names = sorted(binding.identity)  # the order in which the fields were mapped means nothing
    fragments: list[pl.Expr] = []
    parts: list[pl.Expr] = []
    run: list[Input] = []
    for name in [*names, None]:
        each = inputs[name] if name is not None else None
        if each is not None and each.side == "contacts":
            run.append(each)
            continue
        if run:
            column = f"{_FRAGMENT}{len(fragments)}"
            values = [part for one in run for part in _value(one)]
            fragments.append(pl.concat_str(values, ignore_nulls=True).alias(column))
            # A contact that is missing has as many missing values as the fragment has fields.
            parts.append(pl.col(column).fill_null(_MISSING * len(run)))
            run = []
        if each is not None:
            parts += _value(each)
    return Identity(
        tuple(fragments),
        pl.concat_str(parts, ignore_nulls=True).alias(IDENTITY),
        plh.UUIDHashNameSpace(pl.col(IDENTITY)).uuid5(
            str(namespace_of(binding.destination.name, population, names))
        ),
    )


def namespace_of(destination: str, population: str | None, names: Sequence[str]) -> uuid.UUID:
    """The namespace of the record keys of one kind of record."""
    return uuid.uuid5(_NAMESPACE, json.dumps([destination, population, *names]))


def _value(each: Input) -> list[pl.Expr]:
    """A value with its length before it; a time as microseconds since the epoch and a `;`."""
    if each.constant is not None:
        return [pl.lit(f"{len(each.constant.encode())}:{each.constant}")]
    column = pl.col(each.name)
    if each.field.kind is Kind.TIME:
        return [column.dt.epoch("us").cast(pl.String), pl.lit(";")]
    return [column.str.len_bytes().cast(pl.String), pl.lit(":"), column]
