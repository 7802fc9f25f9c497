"""NDJSON files: one JSON object a line, surveyed and read in blocks of whole lines.

Values that are texts, numbers or truth values become text, as in a CSV: a whole number keeps all
of its digits, and a fraction is what 64 bits hold of it, written as floats are. Lists and objects
keep their shape, and no number in them is rounded for another one's sake. In a column that holds
single values and nested ones, at any depth, each value keeps its kind. A line that is no object,
or is too long, is a malformed row; a blank line is no row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import polars as pl

from backfill.core.errors import SourceError
from backfill.sources.formats.blocks import Block, FileOfBlocks
from backfill.sources.formats.byte_streams import INVALID, is_utf8, mark_invalid, open_stream
from backfill.sources.formats.csv_grammar import KEPT
from backfill.sources.formats.malformed_causes import CAUSE, Cause
from backfill.sources.formats.ndjson_lines import (
    END,
    SURROGATE,
    nested_in,
    object_in,
    objects_in,
    one_zero,
    sound_line,
    stretches,
    value_in,
    written_numbers,
)
from backfill.sources.formats.nested_types import kinds_differ, lossless, may_hide, widened
from backfill.sources.locations import Location
from backfill.sources.schemas import MIXED, mixed, named_objects, union
from backfill.sources.unsupported_formats import array_hint, page_hint

__all__ = ["NdjsonFile", "survey_ndjson"]

BLOCK = 8 << 20  # bytes
_PAGE = 64 << 20  # bytes of a file that is looked at as one object
_LONGEST = 8 << 20  # bytes of one line; a longer one is malformed, and never held whole
_RAW = "__raw"
_MALFORMED = (_RAW, CAUSE)


@dataclass(frozen=True, kw_only=True)
class NdjsonFile(FileOfBlocks):
    """One surveyed file, or blocks of it.

    `schema` is what `frames` gives. `met_by` is what the columns of other files meet: there, a
    whole number in a nested value has 32 bits if fractions could stand beside it (`lossless`).
    """

    met_by: dict[str, pl.DataType]

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns and their types."""
        return {name: named_objects(widened(dtype)) for name, dtype in self.met_by.items()}

    def frames(
        self, path: str, as_written: Mapping[str, float] | None = None
    ) -> Iterator[pl.DataFrame]:
        """The rows in order: `__row`, `__raw`, CAUSE, then the columns.

        In the columns `as_written`, numbers with a point or an exponent stay as they stand in
        the file, from a magnitude on. Raises SourceError where the file is no longer what was
        surveyed.
        """
        read = partial(self._read, as_written=as_written or {})
        return self.read_blocks(path, self.schema, read=read, malformed=self._overlong)

    def _read(
        self, text: bytes, straight: bool, as_written: Mapping[str, float]
    ) -> pl.DataFrame | None:
        own = self.schema
        both = [name for name, dtype in own.items() if dtype == MIXED]
        schema = {**own, **dict.fromkeys([*both, *_MALFORMED], pl.String())}
        texts = [name for name, dtype in schema.items() if dtype == pl.String]
        texts = [name for name in texts if name not in _MALFORMED]
        lines = text if straight else _repair(_marked(text, self.encoding)).text
        frame = _read(lines, schema=schema)
        if frame is None:
            return None
        nulls = list(self.null_values)
        if nulls:
            frame = frame.with_columns(
                pl.when(~pl.col(name).is_in(nulls)).then(name) for name in texts
            )
        wanted = {name: least for name, least in as_written.items() if name in texts}
        for name, written in written_numbers(lines, wanted).items():
            found = pl.when(pl.col(name).is_not_null()).then(pl.lit(written))
            frame = frame.with_columns(pl.coalesce(found, name).alias(name))
        nested = nested_in(lines, frame, both)
        return frame.with_columns(_mixed(name, nested.get(name)) for name in both)

    def _overlong(self, start: bytes) -> pl.DataFrame:
        """The row of a line that begins so and is too long."""
        text = _raw(_marked(start, self.encoding)[:KEPT])
        raw = pl.DataFrame({_RAW: [text], CAUSE: [Cause.LONG.value]})
        return raw.with_columns(pl.lit(None, dtype).alias(n) for n, dtype in self.schema.items())


def survey_ndjson(
    location: Location,
    path: str,
    *,
    encoding: str = "utf-8",
    null_values: tuple[str, ...] = (),
    block: int = BLOCK,
    longest: int = _LONGEST,
    advance: Callable[[int], None] | None = None,
) -> NdjsonFile:
    """Read the file once: its columns, its rows, its hash. `path` is where its bytes lie here.

    `advance` is told how many bytes of the file were read so far. Raises SourceError where the
    file is empty or holds no JSON object.
    """
    schema: dict[str, pl.DataType] = {}
    blocks: list[Block] = []
    first, last = b"", b""
    with open_stream(path, location, encoding=encoding, hashed=True) as stream:
        for text, beyond in stretches(stream, block, longest):
            first = first or text.strip().partition(b"\n")[0]
            last = text[-END:].strip()[-1:] or last
            if beyond:
                blocks.append(Block(beyond, 1, straight=False, overlong=True))
            else:
                found, rows, straight = _survey(text, encoding)
                schema = union((schema, found))
                blocks.append(Block(len(text), rows, straight))
            if advance is not None:
                advance(stream.raw_count)
        sha256 = stream.sha256()
        size = stream.raw_count
    rows = sum(each.rows for each in blocks)
    if first.startswith(b"[") and last == b"]" and (rows == 1 or value_in(first) is None):
        raise SourceError(
            "is one JSON array, and NDJSON has one object on each line",
            where=location.name,
            hint=array_hint(location.name),
        )
    if taken := [name for name in _MALFORMED if name in schema]:
        raise SourceError(
            f"the name {taken[0]!r} is kept for the tool's own use", where=location.name
        )
    if not schema:
        raise SourceError(
            "no line is a JSON object with a value in it",
            where=location.name,
            hint=_page_hint(location, path, encoding)
            or "NDJSON has one object on each line; jq -c . writes one of several lines so.",
        )
    return NdjsonFile(
        location=location,
        encoding=encoding,
        null_values=null_values,
        met_by=schema,
        blocks=tuple(blocks),
        rows=rows,
        size=size,
        sha256=sha256,
    )


def _page_hint(location: Location, path: str, encoding: str) -> str | None:
    with open_stream(path, location, encoding=encoding) as stream:
        return page_hint(location.name, stream.read(_PAGE))


def _survey(text: bytes, encoding: str) -> tuple[dict[str, pl.DataType], int, bool]:
    """The columns of a block, its rows, and whether Polars reads it as it stands."""
    if not text.strip():
        return {}, 0, True
    if not SURROGATE.search(text):
        frame = _read(text)
        if frame is not None and frame.width and frame.schema.keys().isdisjoint(_MALFORMED):
            return _shapes(frame, text), frame.height, True
    repaired = _repair(_marked(text, encoding))
    return repaired.schema, repaired.rows, False


def _shapes(frame: pl.DataFrame, text: bytes) -> dict[str, pl.DataType]:
    """The types of the columns that Polars read from the text."""
    shapes = {values.name: _shape(values) for values in frame}
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    nested = nested_in(text, frame, texts)
    shapes |= {name: MIXED for name, values in nested.items() if values.count()}
    doubtful = [
        name
        for name, dtype in shapes.items()
        if dtype.is_nested() and dtype != MIXED and may_hide(frame[name])
    ]
    objects = objects_in(text) if doubtful else []
    for name in doubtful:
        if kinds_differ([each.get(name) for each in objects], frame.schema[name]):
            shapes[name] = MIXED
    return shapes


def _shape(values: pl.Series) -> pl.DataType:
    if values.dtype == pl.Null:
        return values.dtype
    if not values.dtype.is_nested():
        return pl.String()
    return lossless(values)


def _mixed(name: str, nested: pl.Series | None) -> pl.Expr:
    """The MIXED column of the texts in column `name` and the JSON of the values that are nested."""
    if nested is None:
        return mixed(pl.col(name), pl.lit(None, pl.String)).alias(name)
    return mixed(pl.when(pl.lit(nested).is_null()).then(name), pl.lit(nested)).alias(name)


def _read(text: bytes, *, schema: dict[str, pl.DataType] | None = None) -> pl.DataFrame | None:
    """What Polars makes of the lines, or None where it cannot read one of them."""
    if not text.strip():
        return pl.DataFrame(schema=schema)
    text = one_zero(text)
    try:
        return pl.read_ndjson(text, schema=schema, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError):
        return None  # OSError: a first line such as `x^` was taken for compressed bytes


@dataclass(frozen=True, slots=True)
class _Repaired:
    """Lines that Polars reads: each that was no object became one that holds the raw text.

    `schema` is that of the sound lines.
    """

    text: bytes
    rows: int
    schema: dict[str, pl.DataType]


def _marked(text: bytes, encoding: str) -> bytes:
    """The text with a mark at each byte that is none; another encoding than UTF-8 left them."""
    return mark_invalid(text) if is_utf8(encoding) else text


def _repair(marked: bytes) -> _Repaired:
    lines = [line for line in marked.split(b"\n") if line.strip()]
    objects = [object_in(line) for line in lines]
    names = {name: None for each in objects if each is not None for name in each}
    sound = [index for index, each in enumerate(objects) if each is not None]
    for index in _unreadable(lines, sound, dict.fromkeys(names, pl.String())):
        objects[index] = None
    schema = {
        name: _common([each[name] for each in objects if each is not None and name in each])
        for name in names
    }
    kept = (
        sound_line(line, each) if each is not None else _wrapped(line)
        for line, each in zip(lines, objects, strict=True)
    )
    return _Repaired(b"\n".join(kept), len(lines), schema)


def _wrapped(line: bytes) -> bytes:
    cause = Cause.BYTES if INVALID in line else Cause.JSON
    return json.dumps({_RAW: _raw(line), CAUSE: cause.value}).encode()


def _raw(marked: bytes) -> str:
    """A raw line without its marks; where it was cut, perhaps within a letter."""
    return (
        marked.removesuffix(b"\n").removesuffix(b"\r").replace(INVALID, b"").decode(errors="ignore")
    )


def _unreadable(
    lines: list[bytes], indices: list[int], schema: dict[str, pl.DataType]
) -> Iterator[int]:
    """Those of the lines that Polars cannot read even as text, found by halving."""
    if not indices or _read(b"\n".join(lines[i] for i in indices), schema=schema) is not None:
        return
    if len(indices) == 1:
        yield indices[0]
        return
    half = len(indices) // 2
    yield from _unreadable(lines, indices[:half], schema)
    yield from _unreadable(lines, indices[half:], schema)


def _common(values: list[Any]) -> pl.DataType:
    """The type of a column: its shape where all values are lists or objects, text where none is."""
    values = [each for each in values if each is not None]
    if not values:
        return pl.Null()
    nested = [isinstance(each, dict | list) for each in values]
    if not any(nested):
        return pl.String()
    if not all(nested):
        return MIXED
    text = b"\n".join(json.dumps({"x": each}).encode() for each in values)
    frame = _read(text)
    return _shapes(frame, text)["x"] if frame is not None else MIXED
