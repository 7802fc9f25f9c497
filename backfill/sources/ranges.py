"""Ranges of a source: its rows in portions of about one size, each of which is read by itself.

A Parquet file is cut at any row. A text file is cut where a block of its survey ends, as only the
survey knows where a row does; one that is packed, or in an encoding other than UTF-8, is not cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from backfill.sources.file_columns import Opened
from backfill.sources.formats.blocks import FileOfBlocks
from backfill.sources.formats.csv_files import CsvFile
from backfill.sources.formats.ndjson_files import NdjsonFile
from backfill.sources.formats.parquet_files import ParquetFile

__all__ = ["Range", "divided", "without_blocks"]

_TextT = TypeVar("_TextT", bound=CsvFile | NdjsonFile)


@dataclass(frozen=True)
class Range:
    """Some rows of a source: of which files, by their index, and which part of each."""

    files: tuple[tuple[int, Opened], ...]

    @property
    def rows(self) -> int:
        return sum(file.rows for _, file in self.files)


def divided(files: Sequence[Opened], count: int) -> list[Range]:
    """All rows of the files in at most `count` ranges, in order; at least one range."""
    total = sum(file.rows for file in files)
    if count <= 1 or total == 0:
        return [Range(tuple(enumerate(files)))]
    chosen: list[list[tuple[int, Opened]]] = [[] for _ in range(count)]
    done = 0
    for index, file in enumerate(files):
        for number, part in _cut(file, done, total, count):
            chosen[number].append((index, part))
        done += file.rows
    return [Range(tuple(each)) for each in chosen if each]


def without_blocks(file: Opened) -> Opened:
    """What is known of a file but where its rows lie, so that it is small enough to be sent."""
    return replace(file, blocks=()) if isinstance(file, FileOfBlocks) else file


def _cut(file: Opened, done: int, total: int, count: int) -> Iterator[tuple[int, Opened]]:
    """Parts of a file, `done` of `total` rows before it, with the number of the range of each."""
    if isinstance(file, ParquetFile):
        return _rows_cut(file, done, total, count)
    return _blocks_cut(file, done, total, count)


def _rows_cut(
    file: ParquetFile, done: int, total: int, count: int
) -> Iterator[tuple[int, ParquetFile]]:
    start = 0
    while start < file.rows:
        number = (done + start) * count // total
        end = min(file.rows, -(-total * (number + 1) // count) - done)
        whole = end - start == file.rows
        yield (
            number,
            file if whole else replace(file, rows_before=start, rows=end - start, sliced=True),
        )
        start = end


def _blocks_cut(file: _TextT, done: int, total: int, count: int) -> Iterator[tuple[int, _TextT]]:
    """Blocks that begin in one range are read in it."""
    if not file.divisible:
        yield min(done * count // total, count - 1), file
        return
    numbers = []
    before = done
    for block in file.blocks:
        numbers.append(min(before * count // total, count - 1))
        before += block.rows
    start, rows, size = 0, 0, 0
    for number, same in groupby(numbers):
        end = start + len(list(same))
        blocks = file.blocks[start:end]
        part = replace(
            file,
            blocks=blocks,
            rows=sum(each.rows for each in blocks),
            rows_before=rows,
            bytes_before=size,
            final=end == len(file.blocks),
        )
        yield number, part
        start, rows = end, rows + part.rows
        size += sum(each.length for each in blocks)
