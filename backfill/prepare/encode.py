"""JSON bodies, encoded in Polars: no record passes through Python.

A body is one concatenation of literals and members (`"name":"value"`). A member that may be
missing is null then, and brings its comma with it; an object whose members are all missing is
missing itself. Members that come from the contacts alone and stand side by side become one
fragment, which is encoded once for a contact and not once for an event.

What is missing on no row of a part is written there like what never is: without an object put
together beforehand to see whether it is empty, a body takes two thirds of the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import reduce

import polars as pl

from backfill.checks.times import rfc3339
from backfill.destination import Kind
from backfill.prepare.mapping.inputs import Input

__all__ = ["Body", "body_of"]

# Canonical values of these kinds hold no character that JSON escapes.
_PLAIN = frozenset({Kind.UUID, Kind.PHONE, Kind.LANGUAGE})

_ESCAPED = r'["\\\x00-\x1f]'

_FRAGMENT = "__fragment"

_Piece = str | pl.Expr


@dataclass(frozen=True)
class _Object:
    name: str
    members: tuple[_Member, ...]


@dataclass(frozen=True)
class _Run:
    """Neighbours that come from the contacts alone, in the column `fragment`."""

    members: tuple[_Member, ...]
    fragment: str


_Member = Input | _Object | _Run


@dataclass(frozen=True)
class Body:
    """How bodies are put together.

    `fragments` are evaluated over the contacts' canonical columns, named by their fields, and
    give the columns that `item` expects beside the events' canonical columns.
    """

    fragments: tuple[pl.Expr, ...]
    _root: _Object

    def item(self, present: AbstractSet[str] = frozenset()) -> pl.Expr:
        """The bodies of rows on which none of the fields in `present` is missing."""
        return _concatenated([*_Encoder(present).whole(self._root)])


def body_of(inputs: Sequence[Input]) -> Body:
    """The body of inputs that stand in its order. Canonical columns bear their fields' names."""
    encoder = _Encoder()
    tree = reduce(_insert, ((each.path, each) for each in inputs), _Object("", ()))
    root = encoder.with_runs(tree)
    for _ in encoder.whole(root):
        pass  # which leaves the fragments
    return Body(tuple(encoder.fragments), root)


# --- the tree of names -----------------------------------------------------------------------


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


def _of_contacts(member: _Member) -> bool:
    if isinstance(member, Input):
        return member.side == "contacts"
    return all(_of_contacts(each) for each in member.members)


def _always(member: _Member) -> bool:
    """Whether every ready record has it."""
    if isinstance(member, Input):
        return member.constant is not None or member.field.required
    return any(_always(each) for each in member.members)


def _fragmented(owner: _Object) -> bool:
    """Whether fragments stand in it, whose commas were set when they were made."""
    return any(
        isinstance(each, _Run) or (isinstance(each, _Object) and _fragmented(each))
        for each in owner.members
    )


# --- from the tree to expressions ------------------------------------------------------------


@dataclass
class _Encoder:
    present: AbstractSet[str] = frozenset()
    fragments: list[pl.Expr] = field(default_factory=list)
    count: int = 0

    def with_runs(self, owner: _Object) -> _Object:
        """The tree with every run of contacts' members put together."""
        members: list[_Member] = []
        run: list[_Member] = []
        for member in (*owner.members, None):
            if member is not None and _of_contacts(member):
                run.append(member)
                continue
            if run:
                members.append(_Run(tuple(run), f"{_FRAGMENT}{self.count}"))
                self.count += 1
                run = []
            if member is not None:
                members.append(self.with_runs(member) if isinstance(member, _Object) else member)
        return _Object(owner.name, tuple(members))

    def whole(self, owner: _Object) -> Iterator[_Piece]:
        """An object that every record has, from brace to brace."""
        yield "{"
        yield from self._listed(owner.members)
        yield "}"

    def _listed(self, members: Sequence[_Member]) -> Iterator[_Piece]:
        """Members of which at least one is always there, with commas between them.

        Commas belong to those that may be missing, on the side of the first that is not. Which
        one that is must not depend on the part where there are fragments, which have theirs.
        """
        always = [index for index, member in enumerate(members) if _always(member)]
        there = [index for index, member in enumerate(members) if self._there(member)]
        first = min(always or there)
        for index, member in enumerate(members):
            if index < first or index not in there:
                yield self._optional(member, *(("", ",") if index < first else (",", "")))
                continue
            if index > first:
                yield ","
            yield from self._present(member)

    def _there(self, member: _Member) -> bool:
        """Whether every ready record of the part has it."""
        if isinstance(member, Input):
            return _always(member) or member.name in self.present
        if isinstance(member, _Run) or _fragmented(member):
            return _always(member)
        return any(self._there(each) for each in member.members)

    def _present(self, member: _Member) -> Iterator[_Piece]:
        if isinstance(member, _Run):
            self._keep(member.fragment, _concatenated([*self._listed(member.members)]))
            yield pl.col(member.fragment)
        elif isinstance(member, _Object):
            yield _key(member.name)
            yield from self.whole(member)
        else:
            yield from _written(member)

    def _optional(self, member: _Member, before: str, after: str) -> pl.Expr:
        """A member with its comma; null, or empty in a fragment, where it is missing."""
        if isinstance(member, _Run):
            parts = [self._optional(each, before, after) for each in member.members]
            self._keep(member.fragment, _concatenated(parts))
            return pl.col(member.fragment)
        if isinstance(member, _Object):
            inner = _concatenated([self._optional(each, ",", "") for each in member.members])
            text = pl.concat_str(
                pl.lit(f"{before}{_key(member.name)}{{"),
                inner.str.strip_prefix(","),
                pl.lit(f"}}{after}"),
            )
            return pl.when(inner != "").then(text)
        first, *middle, last = ["", *_written(member), ""]
        pieces = [f"{before}{first}", *middle, f"{last}{after}"]
        return pl.concat_str(_merged(pieces))  # null where the value is

    def _keep(self, name: str, fragment: pl.Expr) -> None:
        self.fragments.append(fragment.alias(name))


def _written(each: Input) -> Iterator[_Piece]:
    """`"name":"value"`, null in part where the value is."""
    name = each.path[-1]
    value = pl.col(each.name)
    if each.constant is not None:
        yield f"{_key(name)}{json.dumps(each.constant, ensure_ascii=False)}"
    elif each.field.kind is Kind.TIME:
        yield from (f'{_key(name)}"', rfc3339(value), '"')
    elif each.field.kind in _PLAIN or each.field.choices or _written_plainly(each):
        yield from (f'{_key(name)}"', value, '"')
    else:
        yield from (f'{_key(name)}"', _escaped(value), '"')


def _escaped(text: pl.Expr) -> pl.Expr:
    """Text as it stands between a JSON string's quotes."""
    return text.map_batches(_escape, return_dtype=pl.String, is_elementwise=True)


def _escape(texts: pl.Series) -> pl.Series:
    """Escape a column. Most hold nothing to escape, and looking is cheaper than rewriting."""
    if not texts.str.contains(_ESCAPED).any():
        return texts
    encoded = pl.struct("text").struct.json_encode()
    inner = encoded.str.strip_prefix('{"text":"').str.strip_suffix('"}')
    escaped = pl.when(pl.col("text").is_not_null()).then(inner).alias(texts.name)
    return texts.to_frame("text").select(escaped).to_series()


def _written_plainly(each: Input) -> bool:
    """Whether the values were numbers or truth values, whose text holds nothing to escape."""
    return each.table is None and (each.dtype.is_numeric() or each.dtype == pl.Boolean)


def _key(name: str) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}:"


def _merged(pieces: Sequence[_Piece]) -> list[pl.Expr]:
    """Pieces as expressions, neighbouring literals as one and empty ones left out."""
    merged: list[_Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif not isinstance(piece, str) or piece:
            merged.append(piece)
    return [pl.lit(piece) if isinstance(piece, str) else piece for piece in merged]


def _concatenated(pieces: Sequence[_Piece]) -> pl.Expr:
    """Pieces one after another, without those that are missing."""
    return pl.concat_str(_merged(pieces), ignore_nulls=True)
