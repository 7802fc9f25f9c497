"""Which columns the files of a source have: each of them, and all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from backfill.core.errors import SourceError
from backfill.sources.formats.csv_files import CsvFile
from backfill.sources.formats.csv_grammar import SEPARATORS
from backfill.sources.formats.malformed_causes import CAUSE, CAUSES
from backfill.sources.formats.ndjson_files import NdjsonFile
from backfill.sources.formats.nested_types import widened
from backfill.sources.formats.parquet_files import ParquetFile
from backfill.sources.locations import Location
from backfill.sources.reimport import OURS
from backfill.sources.schemas import named_objects, union

__all__ = ["INTERNAL", "FileColumns", "Opened", "own_columns"]

INTERNAL: dict[str, pl.DataType] = {
    "__file": pl.UInt32(),
    "__row": pl.UInt64(),
    "__raw": pl.String(),
    CAUSE: CAUSES,
}
"""What stands before the own columns of each row."""

# Names that stand beside a source's own columns somewhere on their way.
_TAKEN = frozenset({*INTERNAL, "__at", "__join", "__part", "__record"})

Opened = CsvFile | NdjsonFile | ParquetFile


@dataclass(frozen=True)
class FileColumns:
    """The columns of one file; `headed` where it has the same ones in all of its rows.

    `dropped` are those that bear names of ours, `titles` the lines above the header of a CSV.
    `titled_with` is the separator with which a header stands below titles, where there is another.
    """

    location: Location
    columns: tuple[str, ...]
    headed: bool
    dropped: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    titled_with: str | None = None

    @classmethod
    def from_file(cls, file: Opened) -> FileColumns:
        names = dict.fromkeys([*file.schema, *(name for name, _ in file.location.partitions)])
        own = tuple(name for name in names if name not in OURS)
        dropped = tuple(name for name in names if name in OURS)
        headed = not isinstance(file, NdjsonFile)
        if not isinstance(file, CsvFile):
            return cls(file.location, own, headed, dropped)
        return cls(file.location, own, headed, dropped, file.titles, file.other_separator)

    def __contains__(self, column: str) -> bool:
        return column in self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.columns)

    @property
    def other_separator(self) -> str | None:
        """What seems to stand between the cells, where the one that was set makes one cell of
        the whole header, or a header of a title.
        """
        if self.titled_with is not None:
            return self.titled_with
        if self.location.separator is None or len(self.columns) != 1:
            return None
        likely = (each.decode() for each in SEPARATORS)
        return next((each for each in likely if each in self.columns[0]), None)


def own_columns(files: Sequence[Opened], what: str) -> dict[str, pl.DataType]:
    """The columns of all files with their types, but those that this program adds.

    Raises SourceError for a name that is kept for the program, and where no column is left.
    """
    schemas: list[dict[str, pl.DataType]] = []
    for file in files:
        partitions = {name: pl.String() for name, _ in file.location.partitions}
        if isinstance(file, NdjsonFile):
            found = {name: named_objects(dtype) for name, dtype in file.met_by.items()}
        else:
            found = file.schema
        schemas.append({**found, **partitions})
        taken = next((name for name in schemas[-1] if name in _TAKEN), None)
        if taken is not None:
            raise SourceError(
                f"the column name {taken!r} is kept for the program's own use",
                where=file.location.name,
            )
    own = {name: dtype for name, dtype in union(schemas).items() if name not in OURS}
    if not own:
        raise SourceError(f"the {what} have no column of their own", where=files[0].location.name)
    if any(isinstance(file, NdjsonFile) for file in files):
        own = {name: _of_lines(dtype) for name, dtype in own.items()}
    return own


def _of_lines(dtype: pl.DataType) -> pl.DataType:
    """The type of a column to which lines of NDJSON belong: text where they say nothing of it."""
    if dtype == pl.Null:
        return pl.String()
    return widened(dtype) if dtype.is_nested() else dtype
