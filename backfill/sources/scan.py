"""The files of a source become one frame, and each row gets its identity.

`(__file, __row)` is given when a row is read, before any filter or sort. What works on
the frame no longer knows files, formats or encodings.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import polars as pl
from polars.io.plugins import register_io_source

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.core.model import Progress
from backfill.sources.entries import SourceEntry
from backfill.sources.file_columns import INTERNAL, FileColumns, Opened, own_columns
from backfill.sources.fingerprints import check_unchanged, hash_file
from backfill.sources.formats.byte_streams import packed_by
from backfill.sources.formats.csv_files import survey_csv
from backfill.sources.formats.ndjson_files import NdjsonFile, survey_ndjson
from backfill.sources.formats.parquet_errors import decoding, read_through, try_apart
from backfill.sources.formats.parquet_files import ParquetFile, scan_parquet, survey_parquet
from backfill.sources.locations import Compression, Location, locate
from backfill.sources.ranges import Range, divided, without_blocks
from backfill.sources.reimport import is_ours, malformed_again
from backfill.sources.remote import Copies, RemoteVersion, fetch
from backfill.sources.schemas import converted
from backfill.sources.unsupported_formats import LONGEST_START

__all__ = ["Source", "open_source"]

_CONTENT_ENCODINGS: dict[str, Compression] = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}


_JSON = "arrow.json"  # an extension type whose values are texts


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
    _copies: Copies  # of remote files; those in a directory of their own go with the source
    _as_written: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def files(self) -> tuple[FileColumns, ...]:
        """The columns of each file."""
        return tuple(FileColumns.from_file(file) for file in self._files)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the bytes of each file lie on this machine."""
        return tuple(map(Path, self._paths))

    def extension_of(self, column: str) -> str | None:
        """The extension type of a column, where some file has one that is no text."""
        files = (each for each in self._files if isinstance(each, ParquetFile))
        found = (each.extensions.get(column) for each in files)
        return next((each for each in found if each not in (None, _JSON)), None)

    def lacking(self, column: str) -> list[FileColumns]:
        """The files that should have a column and do not.

        A line of NDJSON says what it has, so a file of such lines need not have what another
        file of the source has.
        """
        known = column in self.schema
        return [each for each in self.files if column not in each and (each.headed or not known)]

    def with_numbers_as_written(self, columns: Mapping[str, float]) -> Source:
        """The source with fractions in these columns of text as they stand in the files.

        Elsewhere `972540000188.0` becomes the text `972540000188`, which is no longer seen to
        have been a fraction. That matters from a magnitude on, which each column has.
        """
        return replace(self, _as_written=columns)

    def ranges(self, count: int) -> list[Range]:
        """All rows in at most `count` ranges: `scan` of this source or its outline reads them."""
        return divided([_unaddressed(each) for each in self._files], count)

    def outline(self) -> Source:
        """The source without where its rows lie: it can be sent, and scans only ranges.

        Neither names an address, in which a password or a signature may stand.
        """
        return replace(
            self,
            entries=tuple(each.model_copy(update={"path": each.name}) for each in self.entries),
            _files=tuple(_unaddressed(without_blocks(each)) for each in self._files),
        )

    def scan(self, part: Range | None = None) -> pl.LazyFrame:
        """`__file`, `__row`, `__raw`, `__cause`, then the own columns, of all rows or of a range.

        A malformed row has its text in `__raw`, why it is one in `__cause`, and null in every own
        column; so has one that `records` gave out and that nobody has mended. The rows of a file
        come in order, and so do files of one kind; text comes before Parquet. May be called, and
        its frame collected, several times, as long as the source lives.
        """
        files = part.files if part is not None else tuple(enumerate(self._files))
        groups: dict[Hashable, list[tuple[int, Opened]]] = {}
        for index, file in files:
            groups.setdefault(self._scanned_with(index, file), []).append((index, file))
        text = groups.pop(None, None)
        parts = [self._streamed(text)] if text else []
        return pl.concat([*parts, *map(self._together, groups.values())])

    def refuse_change(self) -> None:
        """Raise SourceError where a file is no longer the one that was surveyed.

        Copies of remote files are our own, so nobody changes them.
        """
        entries = [
            entry.model_copy(update={"path": path})
            for entry, path in zip(self.entries, self._paths, strict=True)
            if entry.mtime_ns is not None
        ]
        changed = check_unchanged(entries, Path())
        if changed is not None:
            raise SourceError("changed while it was read", where=changed.name)

    def read_through(self) -> None:
        """Decode each Parquet file by itself. Raises SourceError that names a damaged one."""
        for file, path in zip(self._files, self._paths, strict=True):
            if isinstance(file, ParquetFile):
                read_through(path, name=file.location.name)

    def _scanned_with(self, index: int, file: Opened) -> Hashable:
        """Files of which this is equal are read by one scan; None is for text."""
        if not isinstance(file, ParquetFile):
            return None
        partitions = tuple(name for name, _ in file.location.partitions)
        alone = index if file.sliced else None
        return tuple(file.schema.items()), tuple(file.extensions), partitions, alone

    def _together(self, chosen: Sequence[tuple[int, Opened]]) -> pl.LazyFrame:
        """Parquet files of one schema: a scan for each would cost milliseconds for each."""
        indices = [index for index, _ in chosen]
        files = [file for _, file in chosen]
        first = next(file for file in files if isinstance(file, ParquetFile))
        paths = [self._paths[index] for index in indices]
        scan = scan_parquet(
            paths,
            [each.rows for each in files],
            first.extensions,
            first=first.rows_before if first.sliced else None,
        )
        number = pl.col("__file")
        partitions = {
            name: pl.lit(pl.Series([dict(file.location.partitions)[name] for file in files]))
            for name, _ in files[0].location.partitions
        }
        return scan.select(
            pl.lit(pl.Series(indices, dtype=pl.UInt32)).gather(number).alias("__file"),
            "__row",
            *malformed_again(files[0].schema),
            *self._own(files[0], {name: each.gather(number) for name, each in partitions.items()}),
        )

    def _streamed(self, chosen: Sequence[tuple[int, Opened]]) -> pl.LazyFrame:
        """Text files, read block by block as the engine asks for them."""
        schema = {**INTERNAL, **self.schema}

        def read(
            columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            _batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for index, file in chosen:
                assert not isinstance(file, ParquetFile)  # noqa: S101 - groups are of one kind
                partitions = {name: pl.lit(value) for name, value in file.location.partitions}
                own = (*malformed_again(file.schema), *self._own(file, partitions))
                path = self._paths[index]
                if isinstance(file, NdjsonFile):
                    frames = file.frames(path, self._as_written)
                else:
                    frames = file.frames(path)
                for part in frames:
                    frame = part.select(pl.lit(index, pl.UInt32).alias("__file"), "__row", *own)
                    if left is not None:
                        frame = frame.head(left)
                        left -= frame.height
                    if predicate is not None:
                        frame = frame.filter(predicate)
                    yield frame.select(columns) if columns is not None else frame
                    if left == 0:
                        return

        return register_io_source(read, schema=schema, is_pure=True)

    def _own(self, file: Opened, partitions: Mapping[str, pl.Expr]) -> Iterator[pl.Expr]:
        """The own columns of all files, from one that has partitions and may lack others."""
        for name, dtype in self.schema.items():
            if name in partitions:
                yield partitions[name].cast(pl.String).alias(name)
            elif name in file.schema:
                text = converted(name, file.schema[name], dtype)
                least = self._as_written.get(name)
                if least is not None and file.schema[name].is_float() and dtype == pl.String:
                    large = pl.col(name).abs() >= least
                    text = pl.when(large).then(pl.col(name).cast(pl.String)).otherwise(text)
                yield text.alias(name)
            else:
                yield pl.lit(None, dtype).alias(name)


def open_source(
    files: Files,
    directory: Path,
    *,
    what: Literal["events", "contacts"],
    progress: Progress | None = None,
    careful: bool = False,
    copies: Path | None = None,
) -> Source:
    """Find and survey the files of one section. Relative paths are relative to `directory`.

    `careful` has another process try each Parquet file first, as some damage would end this one.
    Remote files are copied into the existing directory `copies`; without one into a private
    directory of the system's, which goes with the source. Raises SourceError for a file that is
    missing, empty, broken or not what its ending says.
    """
    locations = locate(files, directory)
    place = Copies(copies)
    versions: list[RemoteVersion] = []
    paths: list[str] = []
    for number, each in enumerate(locations):
        if each.remote:
            copy = place.path(f"{what}-{number}")
            versions.append(fetch(each.path, copy, name=each.name))
            paths.append(str(copy))
        else:
            versions.append(RemoteVersion())
            paths.append(each.path)
    locations = tuple(map(_as_sent, locations, paths, versions))
    opened: list[Opened] = []
    entries: list[SourceEntry] = []
    sizes = [Path(path).stat().st_size for path in paths]
    done = 0
    for location, path, size, version in zip(locations, paths, sizes, versions, strict=True):
        advance = _advance(progress, f"reading {what}", done, sum(sizes))
        if careful and location.format == "parquet":
            try_apart(path, name=location.name)
        mtime = None if location.remote else Path(path).stat().st_mtime_ns
        file = _survey(location, path, files, size, advance)
        opened.append(file)
        entries.append(
            SourceEntry(
                name=location.name,
                path=location.kept,
                size=file.size,
                mtime_ns=mtime,
                sha256=file.sha256,
                rows=file.rows,
                etag=version.etag,
                modified=version.modified,
            )
        )
        done += size
    schema = own_columns(opened, what)
    return Source(
        entries=tuple(entries),
        columns=tuple(schema),
        schema=schema,
        rows=sum(entry.rows for entry in entries),
        _files=tuple(opened),
        _paths=tuple(paths),
        _copies=place,
    )


def _unaddressed(file: Opened) -> Opened:
    location = file.location
    return replace(file, location=replace(location, path=location.name, kept=""))


def _as_sent(location: Location, path: str, version: RemoteVersion) -> Location:
    """A remote file as its bytes came: its server may have packed what is named like plain text."""
    encoding = version.encoding
    if encoding is None:
        return location
    kind = _CONTENT_ENCODINGS.get(encoding)
    with Path(path).open("rb") as file:
        packed = packed_by(file.read(LONGEST_START))
    if kind is not None and packed in (None, location.compression):
        return location  # packed as its ending says, or not at all whatever the server says
    if kind is None or kind != packed or location.compression or location.format == "parquet":
        raise SourceError(
            f"comes packed by {encoding} (its Content-Encoding), which is not undone here",
            where=location.name,
            hint="Download and unpack it, and name the file.",
        )
    return replace(location, compression=kind)


def _survey(
    location: Location, path: str, files: Files, size: int, advance: Callable[[int], None] | None
) -> Opened:
    if location.format in ("csv", "ndjson"):
        encoding = files.encoding
        if is_ours(location, path):  # whatever its source was written in
            encoding = "utf-8"
            if location.format == "csv":
                location = replace(location, separator=",")
        survey = survey_csv if location.format == "csv" else survey_ndjson
        return survey(
            location, path, encoding=encoding, null_values=files.null_values, advance=advance
        )
    if size == 0:
        raise SourceError("the file is empty", where=location.name)
    sha256 = hash_file(path, name=location.name, advance=advance)
    with decoding(location.name):
        return survey_parquet(location, path, size=size, sha256=sha256)


def _advance(
    progress: Progress | None, phase: str, before: int, total: int
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda done: progress(phase, before + done, total)
