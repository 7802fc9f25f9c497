"""CSV files: surveyed once in blocks that end where a row ends, then read block by block.

The survey counts the rows, hashes the bytes, and notes for each block whether Polars reads it as
the grammar does. Reading goes at Polars' speed through those that it does, and through a repaired
copy of the others; so memory depends on the block, not on the file. Which block a row is in
decides nothing: any block size gives the same rows.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from backfill.core.errors import SeparatorError, SourceError
from backfill.sources.column_names import told_apart
from backfill.sources.formats.blocks import Block, FileOfBlocks
from backfill.sources.formats.byte_streams import ByteStream, is_utf8, open_stream
from backfill.sources.formats.csv_grammar import Dialect
from backfill.sources.formats.malformed_causes import CAUSE, CAUSES, Cause
from backfill.sources.formats.titles import LOOKED_AT, Beginning, other_separator, read_beginning
from backfill.sources.locations import Location

__all__ = ["BLOCK", "CsvFile", "survey_csv"]

BLOCK = 4 << 20  # bytes: few calls of Polars, and what one holds stays near the processor
_LONGEST = 256 << 20  # bytes of a header
_BOM = codecs.BOM_UTF8
# How gzip, zstd and zlib begin, and a text with its byte order mark.
_SNIFFED = (b"\x1f\x8b", b"(\xb5/\xfd", b"x\x01", b"x^", b"x\x9c", b"x\xda", _BOM)
_BLANK = re.compile(rb"(?:\r?\n)+")


@dataclass(frozen=True, kw_only=True)
class CsvFile(FileOfBlocks):
    """One surveyed file, or blocks of it. All cells are text.

    `titles` are the lines above the header. `other_separator` stands between the cells where this
    one finds a header at the top, and that one a header below titles.
    """

    dialect: Dialect
    columns: tuple[str, ...]
    titles: tuple[str, ...] = ()
    other_separator: str | None = None

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        return dict.fromkeys(self.columns, pl.String())

    def frames(self, path: str) -> Iterator[pl.DataFrame]:
        """The rows in order: `__row`, `__raw`, CAUSE, the columns, some thousand rows at a time.

        Raises SourceError where the file is no longer what was surveyed.
        """
        return self.read_blocks(path, self.columns, read=self._read, malformed=self._malformed)

    def _read(self, text: bytes, straight: bool) -> pl.DataFrame:
        if not text.endswith(b"\n"):
            text += b"\n"
        if straight:
            try:
                return self._parse(text).with_columns(
                    pl.lit(None, pl.String).alias("__raw"), pl.lit(None, CAUSES).alias(CAUSE)
                )
            except pl.exceptions.PolarsError:
                pass  # a cell too many, or bytes that are no text: the grammar says where
        repaired = self.dialect.repair(text, final=True)
        token = repaired.token.decode()
        first = pl.col(self.columns[0])
        number = first.str.strip_prefix(token).cast(pl.UInt32, strict=False)
        malformed = first.str.starts_with(token)
        raw = pl.lit(pl.Series(repaired.malformed, dtype=pl.String))
        cause = pl.lit(pl.Series(repaired.causes, dtype=CAUSES))
        index = pl.when(malformed).then(number)
        return (
            self._parse(repaired.text)
            .with_columns(raw.gather(index).alias("__raw"), cause.gather(index).alias(CAUSE))
            .with_columns(pl.when(pl.col("__raw").is_null()).then(first))
        )

    def _malformed(self, start: bytes) -> pl.DataFrame:
        """The row of a line that begins so and is too long."""
        raw = pl.DataFrame(
            {"__raw": [self.dialect.beginning(start)], CAUSE: [Cause.LONG]},
            schema_overrides={CAUSE: CAUSES},
        )
        return raw.with_columns(pl.lit(None, pl.String).alias(name) for name in self.columns)

    def _parse(self, text: bytes) -> pl.DataFrame:
        frame = pl.read_csv(
            _as_text(text),
            has_header=False,
            schema=self.schema,
            separator=self.dialect.separator.decode(),
            null_values=list(self.null_values) or None,
            extra_columns="raise",
            missing_columns="insert",
        )
        if (
            b'"' in text and b'""' in text
        ):  # Polars tells a quoted empty cell from a missing one; a CSV does not
            frame = frame.with_columns(pl.when(pl.all().str.len_bytes() > 0).then(pl.all()))
        return frame


def survey_csv(
    location: Location,
    path: str,
    *,
    encoding: str = "utf-8",
    null_values: tuple[str, ...] = (),
    block: int = BLOCK,
    reach: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> CsvFile:
    """Read the file once: its header, its rows, its hash. `path` is where its bytes lie here.

    `advance` is told how many bytes of the file were read so far. Raises SourceError where the
    file is empty or not a CSV with a header.
    """
    assert location.separator is not None  # noqa: S101 - a CSV's location has one
    dialect = Dialect(location.separator.encode(), marked=not is_utf8(encoding))
    if reach is not None:
        dialect = replace(dialect, reach=reach)
    beginning, other = _beginning(location, path, encoding, dialect)
    with open_stream(path, location, encoding=encoding, hashed=True) as stream:
        survey = _Survey(stream, location.name, dialect, block, advance)
        header_length = survey.read_header(beginning.start)
        blocks = tuple(survey.blocks())
        return CsvFile(
            location=location,
            encoding=encoding,
            null_values=null_values,
            dialect=survey.dialect,
            columns=survey.columns,
            titles=beginning.titles,
            other_separator=other,
            header_length=header_length,
            blocks=blocks,
            rows=sum(each.rows for each in blocks),
            sha256=stream.sha256(),
            size=stream.raw_count,
        )


def _beginning(
    location: Location, path: str, encoding: str, dialect: Dialect
) -> tuple[Beginning, str | None]:
    """Where the header is, and the separator with which it would be below titles."""
    with open_stream(path, location, encoding=encoding) as stream:
        text = stream.read(LOOKED_AT)
        final = len(text) < LOOKED_AT
    text = text if text.endswith(b"\n") or not final else text + b"\n"
    beginning = read_beginning(dialect, text, final=final)
    other = None if beginning.titles else other_separator(dialect, text, final=final)
    return beginning, other.decode() if other else None


class _Survey:
    """One pass over a file's text.

    `_text` was read and is not yet part of a block; `_added` line feeds end it that the file
    lacks.
    """

    def __init__(
        self,
        stream: ByteStream,
        name: str,
        dialect: Dialect,
        size: int,
        advance: Callable[[int], None] | None,
    ) -> None:
        self._stream = stream
        self._name = name
        self._size = size
        self._advance = advance
        self._text = b""
        self._ended = False
        self._added = 0
        self.dialect = dialect
        self.columns: tuple[str, ...] = ()

    def _more(self) -> None:
        if len(self._text) > _LONGEST:
            raise SourceError(
                f"has a row of more than {_LONGEST >> 20} MiB; is it text?", where=self._name
            )
        read = self._stream.read(self._size)
        self._text += read
        if len(read) < self._size:
            self._ended = True
            if self._text and not self._text.endswith(b"\n"):
                self._text += b"\n"
                self._added = 1
        if self._advance is not None:
            self._advance(self._stream.raw_count)

    def read_header(self, start: int) -> int:
        """Read the first line from `start` on that is not blank. Returns how much text lies before
        the rows.
        """
        row = None
        while row is None:
            self._more()
            blank = _BLANK.match(self._text, start)
            start = blank.end() if blank else start
            if start < len(self._text):
                row = self.dialect.read_row(self._text, start, final=self._ended)
            elif self._ended:
                raise SourceError("the file is empty", where=self._name)
        if row.cells is None and (other := self.dialect.header_separator(self._text, start)):
            raise SeparatorError(other.decode(), where=self._name)
        line = self._text[start : row.end].removesuffix(b"\n").removesuffix(b"\r")
        self.columns = self._names(line, row.cells)
        self.dialect = replace(self.dialect, header=row.cells or (), width=len(self.columns))
        self._text = self._text[row.end :]
        return row.end

    def _names(self, line: bytes, cells: tuple[bytes, ...] | None) -> tuple[str, ...]:
        """The columns' names; a column without one of its own is called after its place, from 1."""
        if b"\r" in line and b'"' not in line:
            raise SourceError(
                "its lines end in carriage returns alone",
                where=self._name,
                hint="Save it with line feeds, as any program writes today.",
            )
        try:
            if cells is None or re.search(rb"[\x00-\x08\x0e-\x1f]", line):
                raise ValueError
            names = [cell.decode() or f"column_{i}" for i, cell in enumerate(cells, 1)]
        except ValueError:
            raise SourceError(
                "the first line is no header; is the file text, and in the right encoding?",
                where=self._name,
                hint='`encoding` names it, such as "windows-1255".',
            ) from None
        columns = told_apart(names)
        twice = next((name for name, count in Counter(columns).items() if count > 1), None)
        if twice is not None:
            raise SourceError(f"two columns are named {twice!r}", where=self._name)
        return columns

    def blocks(self) -> Iterator[Block]:
        while True:
            if len(self._text) > self.dialect.reach and self._text.find(b"\n") < 0:
                yield self._overlong()
                continue
            found = self._block() if self._text else None
            if found is not None:
                self._text = self._text[found.length :]
                yield replace(found, length=found.length - self._added * (not self._text))
            elif self._ended:
                return
            if not self._ended:
                self._more()

    def _overlong(self) -> Block:
        """A line that is too long for a row, which is not held in memory."""
        length = len(self._text)
        end = 0
        while not end and not self._ended:
            self._text = b""
            self._more()
            end = self._text.find(b"\n") + 1
            length += end or len(self._text)
        self._text = self._text[end:] if end else b""
        return Block(length - self._added * (not self._text), 1, straight=False, overlong=True)

    def _block(self) -> Block | None:
        """The longest block at the beginning of the text. None where it takes more text."""
        end = self._text.rfind(b"\n") + 1
        if end == 0:
            return None
        text = self._text
        if self.dialect.plain(text, end):
            return Block(end, text.count(b"\n", 0, end), straight=True)
        if self.dialect.straight(text, end):
            regular = self.dialect.regular(text, end)
            if regular == end or (
                regular and self.dialect.read_row(text, regular, final=self._ended) is None
            ):
                return Block(regular, self._count(text[:regular]), straight=True)
        repaired = self.dialect.repair(self._text, final=self._ended)
        if not repaired.consumed:
            return None
        return Block(repaired.consumed, self._count(repaired.text), straight=False)

    def _count(self, text: bytes) -> int:
        if not text:
            return 0
        rows: int = (
            pl.scan_csv(
                _as_text(text),
                has_header=False,
                schema=dict.fromkeys(self.columns, pl.String()),
                separator=self.dialect.separator.decode(),
            )
            .select(pl.len())
            .collect()
            .item()
        )
        return rows


def _as_text(text: bytes) -> bytes:
    """The same text, so that Polars reads it as it stands.

    It takes bytes that begin like compressed ones for such, `x^` among them, and leaves out a
    byte order mark, which in the middle of a file is a part of a value.
    """
    return _BOM + text if text.startswith(_SNIFFED) else text
