"""The door: the files of a source become one frame, and each row gets its identity.

`(__file, __row)` is given when a row is read, before any filter or sort. What lies behind the
door no longer knows files, formats or encodings.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import polars as pl
from polars.io.plugins import register_io_source

from backfill.config.types import Files
from backfill.errors import SourceError
from backfill.manifest import SourceEntry
from backfill.model import Progress
from backfill.prepare.csv_files import CsvFile, survey_csv
from backfill.prepare.fingerprints import check_unchanged, hash_file
from backfill.prepare.locations import Location, locate
from backfill.prepare.ndjson_files import NdjsonFile, survey_ndjson
from backfill.prepare.parquet_files import ParquetFile, survey_parquet
from backfill.prepare.remote import fetch
from backfill.prepare.schemas import converted, union

__all__ = ["OURS", "Source", "check_unchanged", "open_source"]

OURS = ("_file", "_row", "_state", "_reason", "_http_status", "_request_id", "_raw")
"""Columns that `records` adds; dropped here, so its rows can be fed back in as they are."""

_INTERNAL: dict[str, pl.DataType] = {
    "__file": pl.UInt32(),
    "__row": pl.UInt64(),
    "__raw": pl.String(),
}

Opened = CsvFile | NdjsonFile | ParquetFile


@dataclass(frozen=True)
class Source:
    """The files of one side, surveyed: what they hold, and how to read it as one frame.

    `columns` are the files' own, in order of first appearance; `rows` counts every data row.
    """

    entries: tuple[SourceEntry, ...]
    columns: tuple[str, ...]
    schema: Mapping[str, pl.DataType]
    rows: int
    _files: tuple[Opened, ...]
    _paths: tuple[str, ...]

    def scan(self) -> pl.LazyFrame:
        """`__file`, `__row`, `__raw`, then the own columns, in the order of files and rows.

        A malformed row has its text in `__raw` and null in every own column. May be called, and
        its frame collected, several times.
        """
        parts: list[pl.LazyFrame] = []
        numbered = enumerate(zip(self._files, self._paths, strict=True))
        for lazy, group in groupby(numbered, lambda each: isinstance(each[1][0], ParquetFile)):
            if lazy:
                parts += [
                    self._shaped(file.scan(path), index, file)
                    for index, (file, path) in group
                    if isinstance(file, ParquetFile)
                ]
            else:
                parts.append(self._streamed(tuple(index for index, _ in group)))
        return pl.concat(parts)

    def _streamed(self, indices: tuple[int, ...]) -> pl.LazyFrame:
        schema = {**_INTERNAL, **self.schema}

        def read(
            columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            _batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for index in indices:
                file = self._files[index]
                assert not isinstance(file, ParquetFile)  # noqa: S101 - groups are of one kind
                for part in file.frames(self._paths[index]):
                    frame = self._shaped(part.lazy(), index, file).collect()
                    if left is not None:
                        frame = frame.head(left)
                        left -= frame.height
                    if predicate is not None:
                        frame = frame.filter(predicate)
                    yield frame.select(columns) if columns is not None else frame
                    if left == 0:
                        return

        return register_io_source(read, schema=schema, is_pure=True)

    def _shaped(self, frame: pl.LazyFrame, index: int, file: Opened) -> pl.LazyFrame:
        """Give a file's rows their file, its partitions, and the columns that it lacks."""
        partitions = dict(file.location.partitions)
        own = [
            pl.lit(partitions[name], pl.String).alias(name)
            if name in partitions
            else converted(name, file.schema[name], dtype)
            if name in file.schema
            else pl.lit(None, dtype).alias(name)
            for name, dtype in self.schema.items()
        ]
        return frame.select(pl.lit(index, pl.UInt32).alias("__file"), "__row", "__raw", *own)


def open_source(
    files: Files,
    directory: Path,
    *,
    what: Literal["events", "contacts"],
    progress: Progress | None = None,
) -> Source:
    """Find and survey the files of one section. Relative paths are relative to `directory`.

    Raises SourceError for a file that is missing, empty, broken or not what its ending says.
    """
    locations = locate(files, directory)
    local = _Local()
    paths = tuple(local.path(location) for location in locations)
    opened: list[Opened] = []
    entries: list[SourceEntry] = []
    sizes = [Path(path).stat().st_size for path in paths]
    done = 0
    for location, path, size in zip(locations, paths, sizes, strict=True):
        advance = _advance(progress, f"reading {what}", done, sum(sizes))
        mtime = None if location.remote else Path(path).stat().st_mtime_ns
        file = _survey(location, path, files, size, advance)
        opened.append(file)
        entries.append(
            SourceEntry(
                name=location.name,
                path=location.path,
                size=file.size,
                mtime_ns=mtime,
                sha256=file.sha256,
                rows=file.rows,
            )
        )
        done += size
    schema = _own_columns(opened, what)
    source = Source(
        entries=tuple(entries),
        columns=tuple(schema),
        schema=schema,
        rows=sum(entry.rows for entry in entries),
        _files=tuple(opened),
        _paths=paths,
    )
    local.live_as_long_as(source)
    return source


def _survey(
    location: Location, path: str, files: Files, size: int, advance: Callable[[int], None] | None
) -> Opened:
    if location.format in ("csv", "ndjson"):
        survey = survey_csv if location.format == "csv" else survey_ndjson
        return survey(
            location, path, encoding=files.encoding, null_values=files.null_values, advance=advance
        )
    if size == 0:
        raise SourceError("the file is empty", where=location.name)
    return survey_parquet(
        location, path, size=size, sha256=hash_file(path, name=location.name, advance=advance)
    )


def _advance(
    progress: Progress | None, phase: str, before: int, total: int
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(phase, before + done, total)


def _own_columns(files: Sequence[Opened], what: str) -> dict[str, pl.DataType]:
    """The columns of all files but those that this program adds."""
    schemas: list[dict[str, pl.DataType]] = []
    for file in files:
        partitions = {name: pl.String() for name, _ in file.location.partitions}
        schemas.append({**file.schema, **partitions})
        taken = next((name for name in _INTERNAL if name in schemas[-1]), None)
        if taken is not None:
            raise SourceError(
                f"the column name {taken!r} is kept for the program's own use",
                where=file.location.name,
            )
    own = {name: dtype for name, dtype in union(schemas).items() if name not in OURS}
    if not own:
        raise SourceError(f"the {what} have no column of their own", where=files[0].location.name)
    return own


class _Local:
    """Copies of remote files, in a private directory that goes when the source goes."""

    def __init__(self) -> None:
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0

    def path(self, location: Location) -> str:
        if not location.remote:
            return location.path
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="backfill-")
        self._count += 1
        path = Path(self._directory.name, str(self._count))
        fetch(location.path, path, name=location.name)
        return str(path)

    def live_as_long_as(self, source: Source) -> None:
        if self._directory is not None:
            weakref.finalize(source, self._directory.cleanup)
