"""Files to rows, as the documentation says that they are read. Row 1 is the first one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.reference.values import Cell, text_of

__all__ = ["MALFORMED", "Row", "csv_rows", "ndjson_rows", "value_at"]

_BLANK: list[str] = []  # a line without even a quoted cell
Row = Mapping[str, Cell]
MALFORMED: Row = {}  # the one row that nobody can read; compared by identity


def csv_rows(
    content: bytes, *, separator: str, encoding: str, null_values: list[str]
) -> Iterator[Row]:
    """The rows of a CSV, MALFORMED in the place of one that cannot be read."""
    text = content.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    records = _records(text.removeprefix("\ufeff"), separator)
    header = next(records)
    assert header is not None
    for cells in records:
        if cells is None or len(cells) > len(header) or cells == header:
            yield MALFORMED
        elif cells == _BLANK and len(header) > 1:
            continue
        elif any("\udc80" <= sign <= "\udcff" for cell in cells for sign in cell):
            yield MALFORMED
        else:
            missing = [""] * (len(header) - len(cells))
            yield {
                name: None if cell == "" or cell in null_values else cell
                for name, cell in zip(header, [*cells, *missing], strict=True)
            }


def _records(text: str, separator: str) -> Iterator[list[str] | None]:
    """Lists of cells, None for a broken quote, after which reading goes on at the next line."""
    at = 0
    while at < len(text):
        blank = re.compile(r"\r?\n").match(text, at)
        found = (_BLANK, blank.end()) if blank else _record(text, at, separator)
        if found is None:
            at = _line_end(text, at)
            yield None
        else:
            cells, at = found
            yield cells


def _record(text: str, at: int, separator: str) -> tuple[list[str], int] | None:
    cells = []
    while True:
        if text[at : at + 1] == '"':
            quoted = re.compile(r'"((?:[^"]|"")*)"').match(text, at)
            if quoted is None:
                return None
            cell, at = quoted[1].replace('""', '"'), quoted.end()
        else:
            start = at
            while at < len(text) and text[at] not in (separator, "\n"):
                at += 1
            cell = text[start:at]
            if at == len(text) or text[at] == "\n":
                cell = cell.removesuffix("\r")
        cells.append(cell)
        rest = text[at : at + 2]
        if not rest:
            return cells, at
        if rest[0] == separator:
            at += 1
        elif rest[0] == "\n":
            return cells, at + 1
        elif rest == "\r\n":
            return cells, at + 2
        else:
            return None


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def ndjson_rows(content: bytes) -> Iterator[Row]:
    """The rows of an NDJSON file."""
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode())
        except (ValueError, UnicodeDecodeError):
            yield MALFORMED
            continue
        if not isinstance(row, dict):
            yield MALFORMED
            continue
        yield {name: _as_text(cell) for name, cell in row.items()}


def _as_text(cell: Cell) -> Cell:
    """A single value is as its text, but for a number with a point or an exponent."""
    return cell if isinstance(cell, (float, list, dict)) else text_of(cell, None)


def value_at(row: Row, way: str) -> Cell:
    """What a way such as `cart.items[0].sku` leads to, None where nothing is there."""
    if way in row:
        return row[way]
    value: Any = row
    for name, position in re.findall(r"([^.\[\]]+)|\[([0-9]+)\]", way):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        if position:
            held = value if isinstance(value, list) else []
            value = held[int(position)] if int(position) < len(held) else None
        else:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value
