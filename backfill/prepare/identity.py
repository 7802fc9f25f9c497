"""What makes two records the same one, as one text and as one UUID.

The text is the identity's values one after another, each with its length in bytes before it
(`4:free`; `:` alone for a missing one), so two texts are equal exactly when all values are:
comparing texts is comparing values. The record key is the UUIDv5 (RFC 9562) of that text in a
namespace of the destination, the population and the identity's names, so it is the same on
every machine and in every version.

A key of the user's own may be missing in a record altogether. Nothing then says that it is the
same as another one, so it is compared by all its fields and the time, as without a key.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain, groupby

import polars as pl
import polars_hash as plh

from backfill.destination import Kind
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.inputs import Input

__all__ = ["IDENTITY", "UNKEYED", "Identity", "identity_of"]

IDENTITY = "__identity"

UNKEYED = "*"
"""Stands for a whole key that is missing. No field has this name, and no other text of an
identity begins with it."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "backfill:record")
_MISSING = ":"
_UUID = 36  # bytes of the one form in which they are sent
_LENGTHS = pl.Series([f"{length}:" for length in range(256)])
_FRAGMENT = "__named"


@dataclass(frozen=True)
class Identity:
    """`fragments` are evaluated once for a contact; `text` on the joined rows gives the identity.

    `record` gives the record key of the column IDENTITY. `lacking` says of a key of the user's
    own, on the joined rows, where each of its parts is missing though others are there; under
    UNKEYED it says where all of them are.
    """

    fragments: tuple[pl.Expr, ...]
    text: pl.Expr
    record: pl.Expr
    lacking: Mapping[str, pl.Expr]


def identity_of(binding: Binding, population: str | None) -> Identity:
    """The expressions of a binding's identity. Canonical columns bear their fields' names."""
    inputs = {each.name: each for each in binding.inputs}
    if binding.time is not None:
        inputs[binding.time.name] = binding.time
    names = sorted(binding.identity)  # the order in which the fields were mapped means nothing
    columns = _Columns({each.name for each in binding.inputs})
    text = columns.text([inputs[name] for name in names])
    telling = [each for each in inputs.values() if each.constant is None]
    lacking: dict[str, pl.Expr] = {}
    if any(each.name not in names for each in telling):
        parts = [each for each in telling if each.name in names]
        missing = {each.name: columns.missing(each) for each in parts if not _always(each, binding)}
        if missing and len(missing) == len(parts):
            unkeyed = pl.all_horizontal(*missing.values())
            everything = sorted(inputs)
            mark = f"{UNKEYED}{json.dumps(everything)}"
            whole = columns.text([inputs[name] for name in everything])
            text = pl.when(unkeyed).then(pl.concat_str(pl.lit(mark), whole)).otherwise(text)
            lacking[UNKEYED] = unkeyed
            missing = {name: each & ~unkeyed for name, each in missing.items()}
        lacking |= missing
    return Identity(
        tuple(columns.fragments),
        text.alias(IDENTITY),
        plh.UUIDHashNameSpace(pl.col(IDENTITY)).uuid5(
            str(namespace_of(binding.destination.name, population, names))
        ),
        lacking,
    )


def _always(each: Input, binding: Binding) -> bool:
    """Whether every good record has it."""
    return each.field.required or each.name == binding.destination.ordering_field


class _Columns:
    """Texts over the joined rows; what they read of the contacts becomes fragments."""

    def __init__(self, sent: AbstractSet[str]) -> None:
        self.fragments: list[pl.Expr] = []
        self._sent = sent  # names of the inputs that stand in the body

    def _value(self, each: Input) -> list[pl.Expr]:
        return _value(each, sent=each.name in self._sent)

    def text(self, inputs: Sequence[Input]) -> pl.Expr:
        """The inputs' values, one after another."""
        parts: list[pl.Expr] = []
        for contacts, group in groupby(inputs, lambda each: each.side == "contacts"):
            run = list(group)
            parts += [self._fragment(run)] if contacts else chain(*map(self._value, run))
        return pl.concat_str(parts, ignore_nulls=True)

    def missing(self, each: Input) -> pl.Expr:
        """Whether the input has no value."""
        if each.side == "contacts":
            return self._fragment([each]) == _MISSING
        return pl.col(each.name).is_null()

    def _fragment(self, run: Sequence[Input]) -> pl.Expr:
        column = f"{_FRAGMENT}{len(self.fragments)}"
        values = [part for each in run for part in self._value(each)]
        self.fragments.append(pl.concat_str(values, ignore_nulls=True).alias(column))
        # A contact that is missing has as many missing values as the fragment has fields.
        return pl.col(column).fill_null(_MISSING * len(run))


def namespace_of(destination: str, population: str | None, names: Sequence[str]) -> uuid.UUID:
    """The namespace of the record keys of one kind of record."""
    return uuid.uuid5(_NAMESPACE, json.dumps([destination, population, *names]))


def _value(each: Input, *, sent: bool) -> list[pl.Expr]:
    """A value with its length before it; a time as microseconds since the epoch and a `;`.

    A time counts in the precision in which it is sent, so that two equal bodies are one record. A
    time that only orders is not sent, and counts as finely as it was read.
    """
    if each.constant is not None:
        return [pl.lit(f"{len(each.constant.encode())}:{each.constant}")]
    column = pl.col(each.name)
    if each.field.kind is Kind.TIME:
        count = column.dt.timestamp("ms") * 1_000 if sent else column.dt.epoch("us")
        return [count.cast(pl.String), pl.lit(";")]
    if each.field.kind is Kind.UUID and each.field.required:
        return [pl.lit(f"{_UUID}:"), column]
    length = column.str.len_bytes()
    return [length.map_batches(_written, return_dtype=pl.String, is_elementwise=True), column]


def _written(lengths: pl.Series) -> pl.Series:
    """`4:` for 4, and `:` where there is none. Most are short, and a table has them written."""
    longest = lengths.max()
    if isinstance(longest, int) and longest >= len(_LENGTHS):
        return (lengths.cast(pl.String) + ":").fill_null(_MISSING)
    return _LENGTHS.gather(lengths).alias(lengths.name).fill_null(_MISSING)
