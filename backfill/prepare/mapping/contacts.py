"""One row for each contact, of several rows that name it."""

from __future__ import annotations

import polars as pl

from backfill.prepare.mapping.binding import Binding

__all__ = ["JOIN", "one_each", "one_each_of_many", "with_join_key"]

JOIN = "__join"
"""The key by which events find their contact, as a column."""

_ORDER = "__order"


def with_join_key(contacts: pl.LazyFrame, key: pl.Expr) -> pl.LazyFrame:
    """Contacts that have a key, with it, unless it stands there already."""
    if JOIN in contacts.collect_schema():
        return contacts
    return contacts.with_columns(key.alias(JOIN)).filter(pl.col(JOIN).is_not_null())


def one_each(contacts: pl.LazyFrame, key: str, binding: Binding) -> pl.LazyFrame:
    """One row for each contact by the column `key`, of rows in the source's order."""
    match binding.keep_contact:
        case "first":
            return contacts.filter(pl.col(key).is_first_distinct())
        case "last":
            return contacts.filter(pl.col(key).is_last_distinct())
    own = binding.contacts_columns()
    types = contacts.collect_schema()
    values = [pl.col(name).filter(_said(name, types[name])).last() for name in own]
    return contacts.group_by(key).agg(values)


def one_each_of_many(contacts: pl.LazyFrame, key: pl.Expr, binding: Binding) -> pl.LazyFrame:
    """What `one_each` gives, with the keys, of rows in any order that memory need not hold."""
    keyed = with_join_key(contacts, key).with_columns(
        (pl.col("__file").cast(pl.UInt64) * (1 << 40) + pl.col("__row")).alias(_ORDER)
    )
    if binding.keep_contact != "fill":
        values = pl.all().exclude(JOIN, _ORDER)
        chosen = values.min_by(_ORDER) if binding.keep_contact == "first" else values.max_by(_ORDER)
        return keyed.group_by(JOIN).agg(chosen).collect(engine="streaming").lazy()
    own = binding.contacts_columns()
    types = keyed.collect_schema()
    # The order of a column's own: only rows that say something in it.
    orders = {name: f"{_ORDER}{at}" for at, name in enumerate(own)}
    told = [
        pl.when(_said(name, types[name])).then(pl.col(_ORDER)).alias(order)
        for name, order in orders.items()
    ]
    values_of = [
        pl.when(_said(name, types[name])).then(pl.col(name)).max_by(order).alias(name)
        for name, order in orders.items()
    ]
    places = pl.col("__file", "__row").max_by(_ORDER)
    found = keyed.with_columns(told).group_by(JOIN).agg(places, *values_of)
    return found.collect(engine="streaming").lazy()


def _said(name: str, dtype: pl.DataType) -> pl.Expr:
    """Whether a column says something: an empty text does not."""
    value = pl.col(name)
    return value.is_not_null() & (value != "") if dtype == pl.String else value.is_not_null()
