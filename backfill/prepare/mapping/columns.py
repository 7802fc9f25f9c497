"""The columns of both sources: which side a name belongs to, and which ones nothing uses."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from backfill.config import Column, Sql
from backfill.core.errors import ConfigError, SourceError, did_you_mean
from backfill.prepare.mapping.inputs import Input, Side
from backfill.prepare.sql.expressions import row_expression
from backfill.prepare.sql.paths import path_value, root_of
from backfill.sources.column_names import sharing_name
from backfill.sources.file_columns import FileColumns
from backfill.sources.formats.titles import row_with
from backfill.sources.scan import Source

__all__ = ["Columns"]

_BY_FILLING = 'With keep = "fill" under [contacts], files add columns to each other by the key.'


@dataclass(frozen=True)
class Columns:
    """The sources' columns by side; only the events must be there.

    Files of the sides in `filled` add columns to each other, so one of them is enough.
    """

    sides: Mapping[Side, Source]
    filled: frozenset[Side] = frozenset()

    def require(self, side: Side, column: str, where: str, *, in_each_file: bool = False) -> None:
        """Raise SourceError, with the nearest column, where a file of a side lacks a column."""
        source = self.sides[side]
        if (extension := source.extension_of(column)) is not None:
            raise SourceError(
                f"the column {column!r} is of the extension type {extension!r}, which has no text"
                " of its own",
                where=where,
                hint="Write it as text in the source, such as frame[column].astype(str) in pandas.",
            )
        shared = [each for each in source.files if sharing_name(column, each.columns)]
        # One that is looked for in the other files alone would leave out what stands in this one.
        if side in self.filled and not in_each_file and column in source.columns and not shared:
            return
        lacking = source.lacking(column)
        if lacking:
            first, *more = lacking
            name = first.location.name
            files = f"{name} and {len(more)} more" if more else name
            raise SourceError(
                f"there is no column {column!r} in {files}",
                where=where,
                hint=_BY_FILLING
                if side == "contacts" and column in source.columns and not (in_each_file or shared)
                else _in_some(
                    len(lacking) if side == "events" else 0,
                    len(source.files),
                    _hint(column, (shared or lacking)[0], side),
                ),
            )

    def value(
        self,
        column: Column,
        where: str,
        *,
        in_each_file: bool = False,
        as_written: float = math.inf,
    ) -> tuple[Side, pl.Expr, pl.DataType]:
        """What a column holds, or a way into one (`products[0].sku`): its side, value and type.

        `as_written` is for numbers in JSON, as in `path_value`.
        """
        side = self._resolve(column, where)
        schema = self.sides[side].schema
        root = None if column.name in schema else root_of(column.name, schema)
        self.require(side, root or column.name, where, in_each_file=in_each_file)
        if root is None:
            return side, pl.col(column.name), schema[column.name]
        return side, *path_value(column.name, root, schema, where=where, as_written=as_written)

    def expression(
        self,
        spec: Sql,
        where: str,
        *,
        in_each_file: bool = False,
        as_written: float = math.inf,
    ) -> tuple[pl.Expr, pl.DataType]:
        """An SQL expression over one side, and its type; `as_written` as in `value`."""
        schema = self.sides[spec.side].schema
        raw = row_expression(spec.text, schema, where=where, as_written=as_written)
        for column in raw.meta.root_names():
            self.require(spec.side, column, where, in_each_file=in_each_file)
        empty = pl.DataFrame(schema=dict(schema)).lazy()
        return raw, empty.select(raw.alias("value")).collect_schema()["value"]

    def _resolve(self, column: Column, where: str) -> Side:
        """The side that a column belongs to, or one that it leads into."""
        if column.side is not None:
            return column.side
        having = [side for side, source in self.sides.items() if column.name in source.columns] or [
            side for side, source in self.sides.items() if root_of(column.name, source.columns)
        ]
        if len(having) == 1:
            return having[0]
        if having:
            raise ConfigError(
                f"both files have a column {column.name!r}",
                where=where,
                hint=f"Write 'events.{column.name}' or 'contacts.{column.name}'.",
            )
        known = [name for source in self.sides.values() for name in source.columns]
        files = " and ".join(source.entries[0].name for source in self.sides.values())
        hints = (
            _misread(column.name, file, side)
            for side, source in self.sides.items()
            for file in source.lacking(column.name)
        )
        raise SourceError(
            f"there is no column {column.name!r} in {files}",
            where=where,
            hint=next(filter(None, hints), did_you_mean(column.name, known)),
        )

    def unused(
        self, inputs: Iterable[Input], also: Mapping[Side, AbstractSet[str]]
    ) -> Iterator[str]:
        """Columns that feed no input and are not in `also`, as `events.x` and `contacts.y`."""
        used: dict[Side, set[str]] = {side: set(names) for side, names in also.items()}
        for each in inputs:
            if each.side:
                used.setdefault(each.side, set()).update(each.columns())
        for side, source in self.sides.items():
            for name in source.columns:
                if name not in used.get(side, ()):
                    yield f"{side}.{name}"


def _in_some(lacking: int, files: int, hint: str | None) -> str | None:
    """The hint, and what helps where only some of the files lack a column."""
    if not 0 < lacking < files:
        return hint
    some = (
        f"{files - lacking:,} of the {files:,} files have it: write it, empty, into the others, or"
        " give each kind of file a job of its own."
    )
    return f"{hint} {some}" if hint else some


def _hint(column: str, file: FileColumns, side: Side) -> str | None:
    return _misread(column, file, side) or did_you_mean(column, file.columns)


def _misread(column: str, file: FileColumns, side: Side) -> str | None:
    """What to set where the file has the column and is read in a way that hides it."""
    if column in file.dropped:
        return (
            f"{file.location.name} has it, and the name is one that this program adds to rows"
            " itself: rename the column in the source."
        )
    alike = " or ".join(map(repr, sharing_name(column, file.columns)))
    if alike:
        return f"Several columns of {file.location.name} have this name: write {alike}."
    directory = Path(file.location.path).parent
    if any(unquote(part).startswith(f"{column}=") for part in directory.parts):
        return f"It is in the directory's name: set hive = true under [{side}]."
    if (other := file.other_separator) is not None:
        return (
            f"The file's cells seem to be separated by something else: set separator = "
            f"{json.dumps(other)} under [{side}]."
        )
    if (row := row_with(file.location, column)) is not None:
        return (
            f"Row {row:,} of {file.location.name} has it as a cell: if that is the header, delete"
            " what stands above it."
        )
    return None
