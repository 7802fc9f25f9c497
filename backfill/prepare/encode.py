"""JSON bodies, encoded in Polars: no record passes through Python.

A body is put together from members (`"name":"value"`), each a String expression that is null
where the field is missing; members join with commas, an object whose members are all missing
is missing itself. Runs of members that come from the contacts alone become one fragment, which
is encoded once for a contact and not once for an event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import polars as pl

from backfill.destinations import Kind
from backfill.prepare.binding import Input
from backfill.prepare.times import rfc3339

__all__ = ["Body", "body_of"]

# Canonical values of these kinds hold no character that JSON escapes.
_PLAIN = frozenset({Kind.UUID, Kind.PHONE, Kind.LANGUAGE})

_FRAGMENT = "__fragment"


@dataclass(frozen=True)
class _Object:
    name: str
    members: tuple[_Object | Input, ...]

    def only_contacts(self) -> bool:
        return all(_only_contacts(member) for member in self.members)


@dataclass(frozen=True)
class Body:
    """How bodies are put together.

    `fragments` are evaluated over the contacts' canonical columns, named by their fields, and
    give the columns that `item` expects beside the events' canonical columns.
    """

    fragments: tuple[pl.Expr, ...]
    item: pl.Expr


def body_of(inputs: Sequence[Input]) -> Body:
    """The body of inputs that stand in its order. Canonical columns bear their fields' names."""
    root = reduce(_insert, ((each.path, each) for each in inputs), _Object("", ()))
    fragments: list[pl.Expr] = []
    members = list(_members(root, fragments))
    return Body(tuple(fragments), _braced(members, ""))


def _insert(into: _Object, item: tuple[tuple[str, ...], Input]) -> _Object:
    path, each = item
    if len(path) == 1:
        return _Object(into.name, (*into.members, each))
    members = list(into.members)
    for index, member in enumerate(members):
        if isinstance(member, _Object) and member.name == path[0]:
            members[index] = _insert(member, (path[1:], each))
            break
    else:
        members.append(_insert(_Object(path[0], ()), (path[1:], each)))
    return _Object(into.name, tuple(members))


def _only_contacts(member: _Object | Input) -> bool:
    return member.only_contacts() if isinstance(member, _Object) else member.side == "contacts"


def _members(owner: _Object, fragments: list[pl.Expr]) -> Iterator[_Object | Input | pl.Expr]:
    """An object's members, with each run of contacts' members as one fragment's column."""
    run: list[_Object | Input] = []
    for member in (*owner.members, None):
        if member is not None and _only_contacts(member):
            run.append(member)
            continue
        if run:
            name = f"{_FRAGMENT}{len(fragments)}"
            fragments.append(_joined([_encoded(each) for each in run]).alias(name))
            yield pl.col(name)
            run = []
        if isinstance(member, _Object):
            inner = list(_members(member, fragments))
            yield _braced(inner, _key(member.name))
        elif member is not None:
            yield member


def _braced(members: Sequence[_Object | Input | pl.Expr], key: str) -> pl.Expr:
    joined = _joined([_encoded(each) for each in members])
    if any(isinstance(each, Input) and _always(each) for each in members):
        return pl.concat_str(pl.lit(f"{key}{{"), joined, pl.lit("}"))
    return pl.when(joined.is_not_null()).then(
        pl.concat_str(pl.lit(f"{key}{{"), joined, pl.lit("}"))
    )


def _always(each: Input) -> bool:
    """Whether every ready record has the field."""
    return each.constant is not None or each.field.required


def _joined(members: Sequence[pl.Expr]) -> pl.Expr:
    """Members with commas between those that are there; null where none is."""
    if len(members) == 1:
        return members[0]
    text = pl.concat_str(members, separator=",", ignore_nulls=True)
    return pl.when(text != "").then(text)


def _encoded(member: _Object | Input | pl.Expr) -> pl.Expr:
    if isinstance(member, pl.Expr):
        return member
    if isinstance(member, _Object):
        return _braced(member.members, _key(member.name))
    return _member(member)


def _member(each: Input) -> pl.Expr:
    """`"name":"value"`, null where the value is."""
    name = each.path[-1]
    if each.constant is not None:
        return pl.lit(f"{_key(name)}{json.dumps(each.constant, ensure_ascii=False)}")
    value = pl.col(each.name)
    if each.field.kind is Kind.TIME:
        return pl.concat_str(pl.lit(f'{_key(name)}"'), rfc3339(value), pl.lit('"'))
    if each.field.kind in _PLAIN or each.field.choices:
        return pl.concat_str(pl.lit(f'{_key(name)}"'), value, pl.lit('"'))
    quoted = pl.struct(value.alias(name)).struct.json_encode()
    inner = quoted.str.strip_prefix("{").str.strip_suffix("}")
    return pl.when(value.is_not_null()).then(inner)


def _key(name: str) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}:"
