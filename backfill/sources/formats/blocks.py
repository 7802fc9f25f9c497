"""Files of lines in blocks that a survey found: whole rows, read one block after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import is_utf8, open_stream
from backfill.sources.formats.csv_grammar import KEPT
from backfill.sources.formats.malformed_causes import CAUSE, CAUSES
from backfill.sources.locations import Location

__all__ = ["Block", "FileOfBlocks"]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the file's text, whole rows. `straight` where Polars reads it as it stands.

    One that is `overlong` is a single line, too long to be a row.
    """

    length: int
    rows: int
    straight: bool
    overlong: bool = False


@dataclass(frozen=True, kw_only=True)
class FileOfBlocks:
    """One surveyed file of lines, or `blocks` of it one after another.

    `rows_before` and `bytes_before` count what lies before these blocks and after the header, which
    is `header_length` bytes; `final` where the last one ends the file. `size` is in bytes.
    """

    location: Location
    encoding: str
    null_values: tuple[str, ...]
    header_length: int = 0
    blocks: tuple[Block, ...]
    rows: int
    size: int
    sha256: str
    rows_before: int = 0
    bytes_before: int = 0
    final: bool = True

    @property
    def divisible(self) -> bool:
        """Whether blocks can be read without what lies before them."""
        return self.location.compression is None and is_utf8(self.encoding)

    def read_blocks(
        self,
        path: str,
        columns: Iterable[str],
        *,
        read: Callable[[bytes, bool], pl.DataFrame | None],
        malformed: Callable[[bytes], pl.DataFrame],
    ) -> Iterator[pl.DataFrame]:
        """The rows in order, a block at a time: `__row`, `__raw`, CAUSE, then the columns.

        `path` is where the file's bytes lie here. `read` is given a block's text and whether it is
        straight, `malformed` the beginning of a line that is too long. Raises SourceError where the
        file is no longer what was surveyed.
        """
        first = self.rows_before + 1
        with open_stream(path, self.location, encoding=self.encoding) as stream:
            stream.pass_over(self.header_length + self.bytes_before)
            for block in self.blocks:
                text = stream.read(min(block.length, 2 * KEPT) if block.overlong else block.length)
                length = len(text)
                if block.overlong:
                    frame: pl.DataFrame | None = malformed(text)
                    length += stream.skip(block.length - length)
                else:
                    frame = read(text, block.straight)
                if length != block.length or frame is None or frame.height != block.rows:
                    raise self._changed()
                # Polars' readers leave many chunks, from which texts are gathered so slowly that
                # splitting takes twice as long.
                yield frame.rechunk().select(
                    pl.int_range(first, first + pl.len(), dtype=pl.UInt64).alias("__row"),
                    "__raw",
                    pl.col(CAUSE).cast(CAUSES),
                    *columns,
                )
                first += block.rows
            if self.final and stream.read(1):
                raise self._changed()

    def _changed(self) -> SourceError:
        return SourceError("changed while it was read", where=self.location.name)
