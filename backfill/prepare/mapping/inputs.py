"""Where the values of one field come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import polars as pl

from backfill.config.field_specs import Otherwise
from backfill.destination import Field, Kind

__all__ = ["Expression", "Input", "Key", "Side", "Table", "as_fraction_from"]

Side = Literal["events", "contacts"]

_LEAST = {Kind.PHONE: 0.0, Kind.TARGET: 0.0, Kind.UUID: 2.0**53}


def as_fraction_from(field: Field) -> float:
    """The magnitude from which on a number with a point or an exponent must be seen to be one.

    In a phone any one is an accident; a float holds whole numbers below 2**53, as ids may be. In
    other fields the number alone counts, however it is written.
    """
    return _LEAST.get(field.kind, math.inf)


@dataclass(frozen=True)
class Table:
    """A value table: texts of the column, their translation, and what becomes of all others."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    otherwise: Otherwise | None  # None: `constant`
    constant: str | None = None


@dataclass(frozen=True)
class Key:
    """What joins one side with the other: an expression over its own columns, of type `dtype`."""

    raw: pl.Expr
    dtype: pl.DataType

    def columns(self) -> set[str]:
        return set(self.raw.meta.root_names())


@dataclass(frozen=True)
class Expression:
    """An SQL expression of the configuration as it was parsed, and where it stands."""

    text: str
    raw: pl.Expr
    side: Side
    where: str


@dataclass(frozen=True)
class Input:
    """Where the values of one field come from.

    `raw` is an expression over the own columns of `side`, whose type is `dtype`; for a constant
    `side` is None and `constant` its canonical text. `optional` values that break a rule are
    left out instead of rejecting the record. `region` is, for a phone, the ISO code of the country
    that other columns of the row name, in either case.
    """

    name: str
    field: Field
    side: Side | None
    raw: pl.Expr
    dtype: pl.DataType
    table: Table | None = None
    constant: str | None = None
    optional: bool = False
    region: pl.Expr | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The names on the way to the value in the body; a family's last name is one name."""
        if self.field.family:
            prefix = self.field.name[:-2]
            return (*prefix.split("."), self.name[len(prefix) + 1 :])
        return tuple(self.name.split("."))

    def columns(self) -> set[str]:
        if self.side is None:
            return set()
        read = [self.raw] if self.region is None else [self.raw, self.region]
        return {name for each in read for name in each.meta.root_names()}
