"""Files of lines in blocks that a survey found: whole rows, read one block after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import ByteStream
from backfill.sources.formats.csv_grammar import KEPT
from backfill.sources.formats.malformed_causes import CAUSE, CAUSES

__all__ = ["Block", "read_blocks"]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the file's text, whole rows. `straight` where Polars reads it as it stands.

    One that is `overlong` is a single line, too long to be a row.
    """

    length: int
    rows: int
    straight: bool
    overlong: bool = False


def read_blocks(
    stream: ByteStream,
    blocks: Sequence[Block],
    columns: Iterable[str],
    *,
    name: str,
    first: int,
    final: bool,
    read: Callable[[bytes, bool], pl.DataFrame | None],
    malformed: Callable[[bytes], pl.DataFrame],
) -> Iterator[pl.DataFrame]:
    """The rows in order: `__row`, `__raw`, CAUSE, then the columns.

    `first` is the first row's number, and the last block ends the file where it is `final`. `read`
    is given a block's text and whether it is straight, `malformed` the beginning of a line that is
    too long. Raises SourceError where the file `name` is no longer what was surveyed.
    """
    for block in blocks:
        text = stream.read(min(block.length, 2 * KEPT) if block.overlong else block.length)
        length = len(text)
        if block.overlong:
            frame: pl.DataFrame | None = malformed(text)
            length += stream.skip(block.length - length)
        else:
            frame = read(text, block.straight)
        if length != block.length or frame is None or frame.height != block.rows:
            raise SourceError("changed while it was read", where=name)
        yield frame.select(
            pl.int_range(first, first + pl.len(), dtype=pl.UInt64).alias("__row"),
            "__raw",
            pl.col(CAUSE).cast(CAUSES),
            *columns,
        )
        first += block.rows
    if final and stream.read(1):
        raise SourceError("changed while it was read", where=name)
