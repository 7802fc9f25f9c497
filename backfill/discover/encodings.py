"""What the bytes of text files tell of their encoding, and what only a person can.

A byte order mark says UTF-16. Bytes that are not UTF-8 say that it is another encoding, and not
which: a letter of Western Europe in one is a Hebrew one in another. Such a file is looked at as
one byte a letter, so that its columns can be matched, and the encoding is a question.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import mark_invalid, open_stream
from backfill.sources.locations import Location

__all__ = ["Encoding", "encoding_of", "is_utf16"]

_SOME = 0.01  # the share of lines from which other bytes are no accident
_SHOWN = 5  # bytes that are named
_UNKNOWN = b"\x81\x8d\x8f\x90\x9d"  # bytes that windows-1252 has no letter for
_MARKS = ("\xff\xfe".encode(), "\xfe\xff".encode())  # UTF-16 marks read as Latin letters


@dataclass(frozen=True)
class Encoding:
    """How text files that are not UTF-8 are encoded: by `name`, or None where that is a question.

    `reading` is what the sample was read with. Of the sampled `lines`, `undecodable` ones are
    not UTF-8; `common` are the most frequent bytes in them that are not. `header` says whether the
    columns' names hold such bytes. `instead` is another encoding that was named for them.
    """

    name: str | None
    reading: str
    lines: int = 0
    undecodable: int = 0
    common: tuple[int, ...] = ()
    header: bool = False
    instead: str | None = None

    @property
    def asked(self) -> bool:
        """Whether only a person can say it; else a few lines are taken for broken ones."""
        return self.name is None

    def __str__(self) -> str:
        shown = ", ".join(f"{byte:02x}" for byte in self.common)
        are = "line is" if self.lines == 1 else "lines are"
        return f"{self.undecodable:,} of {self.lines:,} sampled {are} not UTF-8 (bytes {shown})"


def is_utf16(location: Location) -> bool:
    """Whether a text file begins with a byte order mark of UTF-16."""
    with (
        contextlib.suppress(SourceError),  # the reader of whole files says what is wrong with it
        open_stream(location.path, location, encoding="latin-1") as stream,
    ):
        return stream.read(len(_MARKS[0])) in _MARKS
    return False


def encoding_of(files: Iterable[tuple[str, Location]], *, most: int) -> Encoding | None:
    """What the first `most` bytes of each text file tell; None where all of it is UTF-8.

    Where more lines are UTF-8 beyond ASCII, or where few are anything else, the name is UTF-8.
    """
    lines = undecodable = beyond = 0
    header = False
    counts: Counter[int] = Counter()
    for path, location in files:
        here = location if path == location.path else replace(location, compression=None)
        data = b""
        with contextlib.suppress(SourceError), open_stream(path, here) as stream:
            data = stream.read(most)
        if len(data) == most:
            data = data[: data.rfind(b"\n") + 1]
        whole = [line for line in data.split(b"\n") if line.strip()]
        lines += len(whole)
        for number, line in enumerate(whole):
            if line.isascii():
                continue
            wrong = _not_utf8(line)
            counts.update(wrong)
            undecodable += bool(wrong)
            beyond += not wrong
            header = header or (bool(wrong) and number == 0 and location.format == "csv")
    if not undecodable:
        return None
    asked = header or (undecodable >= _SOME * lines and undecodable > beyond)
    reading = "windows-1252" if not counts.keys() & set(_UNKNOWN) else "latin-1"
    common = tuple(byte for byte, _ in counts.most_common(_SHOWN))
    if not asked:
        return Encoding("utf-8", "utf-8", lines, undecodable, common)
    return Encoding(None, reading, lines, undecodable, common, header)


def _not_utf8(line: bytes) -> list[int]:
    """The bytes of a line that are not UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        marked = mark_invalid(line).split(b"\xff\\x")[1:]
        return [int(each[:2], 16) for each in marked]
    return []
