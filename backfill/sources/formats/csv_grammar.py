"""What is a row in a CSV file, and what is not.

A cell that begins with a quote ends at the next quote that is not doubled, and only a separator
or the end of a line may follow it. Any other cell is literal text up to the next separator or
line end, quotes inside it included. A row ends at a line feed outside a quoted cell; a carriage
return before it belongs to the line end.

A row is malformed where a quoted cell does not end so (then only its first physical line is,
and reading goes on at the next line), where it has more cells than the header, where a byte is
not text, where it is longer than `reach`, and where it repeats the header, however that is quoted
and whether or not a byte order mark stands before it, as where files were put one behind the other.
A row with fewer cells lacks the last ones. A blank line is no row, except in a file of one column,
where it is a row whose cell is missing.

Most of a file is read by Polars, which is fast but forgiving: it drops quotes where they are
out of place. So a pattern first finds how far the text is regular (both read it alike), and the
few rows that are not are rewritten so that Polars reads what this grammar means.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from backfill.sources.formats.byte_streams import INVALID, mark_invalid
from backfill.sources.formats.malformed_causes import Cause

__all__ = ["SEPARATORS", "Dialect", "Repaired", "Row"]

SEPARATORS = (b";", b"\t", b"|", b",")
"""What programs write between cells, in the order in which it is looked for."""

KEPT = 1 << 16
"""How many bytes are kept of a row that is longer than `Dialect.reach`."""

_LF = 0x0A
_CR = 0x0D
_QUOTE = 0x22


@dataclass(frozen=True, slots=True)
class Row:
    """One row as the grammar reads it: where it ends, and its cells, or None if malformed.

    `cause` says why it is.
    """

    end: int
    cells: tuple[bytes, ...] | None
    cause: Cause = Cause.QUOTE


@dataclass(frozen=True, slots=True)
class Repaired:
    """Text that Polars reads as the grammar does.

    Row `index` of `malformed` starts with the cell `token` + index; its raw text is kept here, and
    in `causes` why it cannot be read. `consumed` is how much of the original text it stands for.
    """

    text: bytes
    consumed: int
    token: bytes
    malformed: Sequence[str]
    causes: Sequence[Cause]


@dataclass(frozen=True)
class Dialect:
    """How one file is written: its separator, the cells of its header and how many they are.

    `reach` is how many bytes a row may have; a longer line is malformed, and a quoted cell that
    ends later is a broken quote.
    `marked` tells that bytes that are no text were marked before, when the text became UTF-8.
    """

    separator: bytes
    header: tuple[bytes, ...] = ()
    width: int = 0
    reach: int = 8 << 20
    marked: bool = False

    @cached_property
    def _regular(self) -> re.Pattern[bytes]:
        """Matches the rows from a row's beginning on whose quotes stand where they should."""
        sep = re.escape(self.separator)
        return re.compile(
            rb"(?:" + self._refuse_blank + rb'[^"\n]*+(?:(?<![^' + sep + rb"\n])" + _QUOTED +
            rb"(?:" + sep + rb'[^"\n]*+|(?=\r?\n)))*+\r?\n)*+'
        )  # fmt: skip

    @cached_property
    def _exact(self) -> re.Pattern[bytes]:
        """Like `_regular`, and every row is text, has no cell too many and repeats no header."""
        sep = re.escape(self.separator)
        bare = rb'[^"\n\xff' + sep + rb"]*+"
        quoted = _QUOTED.replace(b'[^"]', b'[^"\xff]')
        cell = rb"(?:" + quoted + rb"|" + bare + rb"(?<!\r))"
        last = rb"(?:" + quoted + rb"|" + bare + rb")"
        header = rb"(?!" + self._header + rb"\r?\n)" if self.header else b""
        before = str(self.width - 1).encode()
        return re.compile(
            rb"(?:" + self._refuse_blank + header + rb"(?:" + cell + sep + rb"){0," + before +
            rb"}+" + last + rb"\r?\n)*+"
        )  # fmt: skip

    @property
    def _refuse_blank(self) -> bytes:
        return b"" if self.width == 1 else rb"(?!\r?\n)"

    def regular(self, text: bytes, end: int) -> int:
        """How far Polars reads `text`, from a row's beginning on, as this grammar does.

        Only quotes and blank lines are looked at; `straight` looks at the rest.
        """
        return self._span(self._regular, text, 0, end)

    def _span(self, pattern: re.Pattern[bytes], text: bytes, at: int, end: int) -> int:
        # In steps of the reach, so that a longer row is never taken here: where it ends is
        # decided by `read_row` alone, wherever the text was cut.
        while at < end:
            found = pattern.match(text, at, min(end, at + self.reach))
            if found is None or found.end() == at:
                break
            at = found.end()
        return at

    def plain(self, text: bytes, end: int) -> bool:
        """Whether Polars reads `text` up to `end`, whole rows, as one row a line.

        Cells too many and bytes that are no text are not looked for: Polars complains of them.
        """
        return (
            end <= self.reach  # else a row may be longer than that
            and text.find(b'"', 0, end) < 0
            and self.straight(text, end)
            and not self._blank(text, end)
        )

    def straight(self, text: bytes, end: int) -> bool:
        """Whether nothing that `_regular` does not see can mislead Polars in `text`."""
        # Polars drops a carriage return at the end of any cell without quotes.
        if text.find(b"\r", 0, end) >= 0 and text.find(b"\r" + self.separator, 0, end) >= 0:
            return False
        return not self.header or (
            self._next_header.search(text, 0, end) is None
            and self._one_header.match(text, 0, end) is None
        )

    @property
    def _header(self) -> bytes:
        """A pattern of the header's line, however its cells are quoted and lines in them end."""
        cells = []
        for cell in self.header:
            ways = rb"\r?\n".join(map(re.escape, re.split(rb"\r?\n", _quote(cell))))
            if not (cell.startswith(b'"') or self.separator in cell or b"\n" in cell):
                ways += rb"|" + re.escape(cell)
            cells.append(rb"(?:" + ways + rb")")
        mark = rb"(?:" + codecs.BOM_UTF8 + rb")?"
        return mark + re.escape(self.separator).join(cells)

    @cached_property
    def _one_header(self) -> re.Pattern[bytes]:
        return re.compile(self._header + rb"\r?\n")

    @cached_property
    def _next_header(self) -> re.Pattern[bytes]:
        """The header behind another line. Most lines are told from it by their first byte."""
        first = (self.header[0] or self.separator)[:1]
        begins = re.escape(first + b'"' + codecs.BOM_UTF8[:1])
        return re.compile(rb"\n(?=[" + begins + rb"])" + self._header + rb"\r?\n")

    def _blank(self, text: bytes, end: int) -> bool:
        if self.width == 1:
            return False
        # The pattern takes half the time that `bytes.find` takes for two line feeds.
        return text.startswith((b"\n", b"\r\n")) or _BLANK.search(text, 0, end) is not None

    def read_row(self, text: bytes, start: int, *, final: bool) -> Row | None:
        """Read the row at `start`. None where it goes on beyond `text`, unless that is final.

        A final text ends in a line feed. The cells are given with quotes undone; a row that is
        malformed has None.
        """
        cells: list[bytes] = []
        at = start
        limit = min(len(text), start + self.reach)
        while True:
            if at < len(text) and text[at] == _QUOTE:
                found = _QUOTED_CELL.match(text, at, limit)
                if found is None:
                    if limit == len(text) and not final:
                        return None
                    return _first_line(text, start)
                cells.append(found[1].replace(b'""', b'"'))
                at = found.end()
                if text.startswith(b"\r\n", at):
                    at += 1
                if at >= limit:
                    if at == len(text) and not final:
                        return None
                    return _first_line(text, start, Cause.LONG)
                if text[at] == _LF:
                    return self._row(text, start, at + 1, cells)
                if not text.startswith(self.separator, at):
                    if text[at] == _CR and at + 1 == len(text) and not final:
                        return None
                    return _first_line(text, start)
                at += 1
                continue
            line_end = text.find(b"\n", at)
            if line_end < 0:
                return None
            cut = text.find(self.separator, at, line_end)
            if cut < 0:
                cells.append(text[at:line_end].removesuffix(b"\r"))
                return self._row(text, start, line_end + 1, cells)
            cells.append(text[at:cut])
            at = cut + 1

    def _row(self, text: bytes, start: int, end: int, cells: list[bytes]) -> Row | None:
        if end - start > self.reach:
            return _first_line(text, start, Cause.LONG)
        whole = text[start:end]
        if INVALID in whole:
            return Row(end, None, Cause.BYTES)
        if self.width and len(cells) > self.width:
            return Row(end, None, Cause.CELLS)
        if self.header and self._one_header.fullmatch(_line(whole) + b"\n"):
            return Row(end, None, Cause.HEADER)
        return Row(end, tuple(cells))

    def header_separator(self, text: bytes, start: int) -> bytes | None:
        """The separator with which the line at `start` is a header of several cells, all of them
        sound, where with this one it is none.
        """
        for each in SEPARATORS:
            row = replace(self, separator=each).read_row(text, start, final=True)
            if row is not None and row.cells is not None and len(row.cells) > 1:
                return each
        return None

    def repair(self, text: bytes, *, final: bool) -> Repaired:
        """Rewrite what is irregular in `text`, from a row's beginning on.

        Unless `final`, what may go on beyond `text` is not consumed.
        """
        length = len(text)
        if not self.marked:
            text = mark_invalid(text)
        token = _token_absent_from(text)
        parts: list[bytes] = []
        malformed: list[str] = []
        causes: list[Cause] = []
        at = 0
        while at < len(text):
            end = self._span(self._exact, text, at, len(text))
            parts.append(text[at:end])
            at = end
            if at == len(text):
                break
            row = self.read_row(text, at, final=final)
            if row is None:
                break
            if row.cells is None:
                parts.append(_quote(token + b"%d" % len(malformed)) + b"\n")
                long = row.end - at > self.reach
                line = _line(text[at : row.end])
                malformed.append(_readable(line[:KEPT] if long else line))
                causes.append(row.cause)
            elif self.width == 1 or row.cells != (b"",) or text[at : at + 1] == b'"':
                parts.append(self.separator.join(map(_quote, row.cells)) + b"\n")
            at = row.end
        left = text[at:]
        consumed = length - (len(left) if self.marked else _unmarked_length(left))
        return Repaired(b"".join(parts), consumed, token, tuple(malformed), tuple(causes))

    def beginning(self, text: bytes) -> str:
        """What is kept of a line longer than `reach` that begins with `text`."""
        return _readable(_line(text if self.marked else mark_invalid(text))[:KEPT])


_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+"'
_BLANK = re.compile(rb"\n\r?\n")
_QUOTED_CELL = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)"')


def _first_line(text: bytes, start: int, cause: Cause = Cause.QUOTE) -> Row | None:
    line_end = text.find(b"\n", start)
    return Row(line_end + 1, None, cause) if line_end >= 0 else None


def _readable(marked: bytes) -> str:
    """A raw text without its marks; where it was cut, perhaps within a letter."""
    return marked.replace(INVALID, b"").decode(errors="ignore")


def _quote(cell: bytes) -> bytes:
    return b'"' + cell.replace(b'"', b'""') + b'"'


def _line(text: bytes) -> bytes:
    return text.removesuffix(b"\n").removesuffix(b"\r")


def _unmarked_length(text: bytes) -> int:
    """How long a text was before `mark_invalid`."""
    return len(text) - len(INVALID + rb"\xff") * text.count(INVALID) + text.count(INVALID)


def _token_absent_from(text: bytes) -> bytes:
    number = 0
    while (token := b"malformed-row-%d-" % number) in text:
        number += 1
    return token
