"""The columns of both sources: which side a name belongs to, and which ones nothing uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from backfill.config import Column
from backfill.errors import ConfigError, SourceError, did_you_mean
from backfill.prepare.inputs import Input, Side
from backfill.prepare.sources import Source

__all__ = ["Columns"]


@dataclass(frozen=True)
class Columns:
    """The sources' columns by side; only the events must be there."""

    sides: Mapping[Side, Source]

    def require(self, side: Side, column: str, where: str) -> None:
        """Raise SourceError, with the nearest column, where a side lacks a column."""
        source = self.sides[side]
        if column not in source.columns:
            first, *more = (entry.name for entry in source.entries)
            files = f"{first} and {len(more)} more" if more else first
            raise SourceError(
                f"there is no column {column!r} in {files}",
                where=where,
                hint=did_you_mean(column, source.columns),
            )

    def resolve(self, column: Column, where: str) -> Side:
        """The side that a column belongs to."""
        if column.side is not None:
            self.require(column.side, column.name, where)
            return column.side
        having = [side for side, source in self.sides.items() if column.name in source.columns]
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
        raise SourceError(
            f"there is no column {column.name!r} in {files}",
            where=where,
            hint=did_you_mean(column.name, known),
        )

    def unused(self, inputs: Iterable[Input], keys: Mapping[Side, str | None]) -> Iterator[str]:
        """Columns that feed no input and are no join key, as `events.x` and `contacts.y`."""
        used: dict[Side, set[str | None]] = {side: {key} for side, key in keys.items()}
        for each in inputs:
            if each.side:
                used.setdefault(each.side, set()).update(each.columns())
        for side, source in self.sides.items():
            for name in source.columns:
                if name not in used.get(side, ()):
                    yield f"{side}.{name}"
