"""Titles above a CSV's header: what a report is called, when it was made, a line for Excel.

They are told from a header by the lines below them and by nothing else: the header is the first
line that names as many columns as the rows have, and what stands above it names fewer. Where that
is not plain the first line is the header, and the rows say that it does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.formats.csv_grammar import SEPARATORS, Dialect
from backfill.sources.locations import Location

__all__ = ["LOOKED_AT", "Beginning", "other_separator", "read_beginning", "row_with"]

LOOKED_AT = 1 << 16
"""How many bytes of a text tell where its header is."""

_ROWS = 40  # that are looked at
_MOST = 20  # titles
_RARE = 5  # one row in so many may have more cells than the header
_CLEAR = 3  # columns and rows that tell a title of one word
_BLANK = re.compile(rb"(?:[ \t]*\r?\n)+")
_FOR_EXCEL = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE)
_LETTER = re.compile(rb"[A-Za-z\x80-\xff]")
_NO_NAME = re.compile(
    rb"@|://|[0-9]{4}[-/.][0-9]|[0-9]:[0-9]{2}|^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$|^[{\[]",
    re.IGNORECASE,
)
_SPEAKS = re.compile(rb"\S\s+\S|^[^A-Za-z0-9\x80-\xff_]|[0-9]{2}")
_LONGEST_NAME = 200  # bytes


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a text begins: the header is at `start`, below `titles`, of which these are the texts."""

    start: int = 0
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """A row at the beginning: its cells without the empty ones at its end, and how many it has.

    `apart` where a blank or an empty line follows.
    """

    start: int
    end: int
    cells: tuple[bytes, ...]
    width: int
    apart: bool

    @property
    def filled(self) -> int:
        return sum(map(bool, self.cells))


_NOTHING = _Line(0, 0, (), 0, apart=False)


def read_beginning(dialect: Dialect, text: bytes, *, final: bool) -> Beginning:
    """Where the header of a text begins. Unless `final`, what is at its end may go on."""
    for_excel = _FOR_EXCEL.match(text)
    at = for_excel.end() if for_excel else 0
    first = (for_excel[0].decode(errors="replace").strip(),) if for_excel else ()
    lines = _lines(dialect, text, at, final=final)
    for number in range(1, min(len(lines), _MOST + 1)):
        if _is_header(lines[number], lines[number + 1 :], lines[:number]):
            titles = (_shown(text[each.start : each.end]) for each in lines[:number])
            return Beginning(lines[number].start, (*first, *titles))
    return Beginning(at, first)


def other_separator(dialect: Dialect, text: bytes, *, final: bool) -> bytes | None:
    """The separator with which a header stands below titles, where with this one the first line
    names other columns than the rows have.
    """
    first, *rows = _lines(dialect, text, final=final) or [_NOTHING]
    alike = sum(each.width == first.width for each in rows)
    if first.width > 1 and 2 * alike >= len(rows):
        return None
    for each in SEPARATORS:
        other = Dialect(each, reach=dialect.reach, marked=dialect.marked)
        if each != dialect.separator and read_beginning(other, text, final=final).titles:
            return each
    return None


def row_with(location: Location, cell: str) -> int | None:
    """The number of the first row of a file here, below its first line, that has a cell; as far as
    its beginning is looked at.
    """
    if location.separator is None or location.remote:
        return None
    with suppress(SourceError), open_stream(location.path, location) as stream:
        text = stream.read(LOOKED_AT)
        lines = _lines(Dialect(location.separator.encode()), text, final=False)
        return next(
            (at for at, each in enumerate(lines) if at and cell.encode() in each.cells), None
        )
    return None


def _lines(dialect: Dialect, text: bytes, at: int = 0, *, final: bool) -> list[_Line]:
    found: list[_Line] = []
    at = _blank_until(text, at)
    while at < len(text) and len(found) < _ROWS:
        row = dialect.read_row(text, at, final=final)
        if row is None:
            break
        cells = [each.strip() for each in row.cells or (text[at : row.end],)]
        width = len(cells)
        while cells and not cells[-1]:
            cells.pop()
        start, at = at, _blank_until(text, row.end)
        if cells:
            found.append(_Line(start, row.end, tuple(cells), width, apart=at > row.end))
        elif found:
            found[-1] = replace(found[-1], apart=True)
    return found


def _blank_until(text: bytes, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _is_header(header: _Line, rows: Sequence[_Line], above: Sequence[_Line]) -> bool:
    """Whether a line names the columns of the rows below it, and those above it name none."""
    names = header.cells
    several = len(names) > 1 and len(set(names)) == len(names)
    if not (
        several and all(map(_is_name, names)) and all(len(names) > len(a.cells) for a in above)
    ):
        return False
    whole = [each for each in rows if each.width == header.width]
    wider = [each for each in rows if len(each.cells) > len(names)]
    if not whole or 2 * len(whole) < len(rows) or _RARE * len(wider) > len(rows):
        return False
    if not any(_holds_values(name, at, whole) for at, name in enumerate(names)):
        return False
    apart = above[-1].apart
    clear = len(names) >= _CLEAR and len(whole) >= _CLEAR
    titles = all(a.filled <= 1 or apart or any(map(_NO_NAME.search, a.cells)) for a in above)
    speaking = any(_SPEAKS.search(cell) for a in above for cell in a.cells)
    wide = any(a.width > a.filled for a in above)  # a title of a spreadsheet
    return titles and (apart or clear or speaking or wide)


def _is_name(cell: bytes) -> bool:
    named = len(cell) <= _LONGEST_NAME and _LETTER.search(cell) is not None
    return named and _NO_NAME.search(cell) is None


def _holds_values(name: bytes, at: int, rows: Sequence[_Line]) -> bool:
    """Whether a column that is named without a digit holds digits or addresses."""
    cells = [each.cells[at] for each in rows if at < len(each.cells) and each.cells[at]]
    values = sum(re.search(rb"[0-9@]", each) is not None for each in cells)
    return bool(cells) and 2 * values >= len(cells) and re.search(rb"[0-9]", name) is None


def _shown(line: bytes) -> str:
    """A line without the quotes around it and the separators at its end."""
    return line.decode(errors="replace").strip().strip('"').rstrip(",\t|")
