"""Lines of NDJSON: where they end, and what is in one where a frame alone does not say enough.

Of a name that stands twice in an object, the first value counts, as it does for Polars.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from backfill.sources.formats.byte_streams import INVALID, ByteStream

__all__ = [
    "END",
    "SURROGATE",
    "nested_in",
    "object_in",
    "objects_in",
    "one_zero",
    "sound_line",
    "stretches",
    "value_in",
    "written_numbers",
]

END = 1 << 10  # bytes at an end of a line or block, among which one is not white space

_MINUS_ZERO = re.compile(rb"-0(?:[.]0*)?(?:[eE][+-]?[0-9]+)?(?=[\s,}\]])")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SIGNLESS = re.compile(r"(?<=[eE])(?=[0-9])")


class _Repeated(dict[str, Any]):
    """An object in which some name stands twice; it holds the first value of each."""


class _Written(float):
    """A number with a point or an exponent, and how it stands in the line."""

    text: str

    def __new__(cls, text: str) -> _Written:
        self = super().__new__(cls, text)
        self.text = text
        return self


def stretches(stream: ByteStream, size: int, longest: int) -> Iterator[tuple[bytes, int]]:
    """The text in stretches of whole lines, each with 0; the last line may lack its end.

    Of a line of more than `longest` bytes both ends come, with the length of the whole line.
    """
    text = b""
    while read := stream.read(size):
        text += read
        at = 0
        while found := text.rfind(b"\n", at, at + longest + 1) + 1:
            at = found
        if at:
            yield text[:at], 0
            text = text[at:]
        if len(text) > longest:
            ends, length, text = _rest_of_line(stream, text, size)
            yield ends, length
    if text:
        yield text, 0


def _rest_of_line(stream: ByteStream, text: bytes, size: int) -> tuple[bytes, int, bytes]:
    """Read on to the end of the line that `text` begins with: its ends, length, what follows."""
    start, length = text[:END], 0
    while not (end := text.find(b"\n") + 1):
        length += len(text)
        before, text = text[-END:], stream.read(size)
        if not text:
            return start + before, length, b""
    return start + text[:end][-END:], length + end, text[end:]


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    first = _Repeated()
    for name, value in pairs:
        first.setdefault(name, value)
    return first


def value_in(line: bytes) -> Any:
    """What JSON a line holds; None for what is none."""
    try:
        return json.loads(line, object_pairs_hook=_first_of_each)
    except (ValueError, RecursionError):
        return None


def object_in(line: bytes) -> dict[str, Any] | None:
    """The JSON object in a line, or None; half a surrogate pair makes no text."""
    if INVALID in line:
        return None
    value = value_in(line)
    if not isinstance(value, dict):
        return None
    try:
        if SURROGATE.search(line):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def objects_in(text: bytes) -> list[dict[str, Any]]:
    """The objects of the lines, an empty one for a line that is none."""
    return [object_in(line) or {} for line in text.split(b"\n") if line.strip()]


def nested_in(text: bytes, frame: pl.DataFrame, names: list[str]) -> dict[str, pl.Series]:
    """The JSON of those values that are lists or objects, of columns that were read as text.

    Only a text that begins like one can be: for all others the lines are not looked at, and their
    columns have no entry. The JSON is not Polars' own, which has no backslash before a backslash.
    """
    begins = frame.select(pl.col(names).str.contains(r"^[\[{]").any())
    likely = [name for name, found in begins.row(0, named=True).items() if found] if names else []
    objects = objects_in(text) if likely else []
    return {
        name: pl.Series(
            [
                json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else None
                for value in (each.get(name) for each in objects)
            ],
            dtype=pl.String,
        )
        for name in likely
    }


def sound_line(line: bytes, value: dict[str, Any]) -> bytes:
    """A line that Polars reads as `value`, which stands in it: no name twice, at any depth."""
    return json.dumps(value).encode() if _repeats(value) else line


def _repeats(value: Any) -> bool:
    match value:
        case _Repeated():
            return True
        case dict():
            return any(map(_repeats, value.values()))
        case list():
            return any(map(_repeats, value))
    return False


def one_zero(text: bytes) -> bytes:
    """The lines with `0` for a number `-0.0`, which is the same number and no other text."""
    if not any(text[found.start() - 1] in b":[, \t" for found in _MINUS_ZERO.finditer(text)):
        return text
    return b"\n".join(_line_with_one_zero(line) for line in text.split(b"\n"))


def _line_with_one_zero(line: bytes) -> bytes:
    value = object_in(line) if _MINUS_ZERO.search(line) else None
    return line if value is None else json.dumps(_with_one_zero(value)).encode()


def _with_one_zero(value: Any) -> Any:
    match value:
        case dict():
            return {name: _with_one_zero(each) for name, each in value.items()}
        case list():
            return [_with_one_zero(each) for each in value]
        case float() if value == 0:
            return 0
    return value


def written_numbers(text: bytes, least: Mapping[str, float]) -> dict[str, pl.Series]:
    """Numbers with a point or an exponent as they stand in the lines, by column.

    Only those of at least this magnitude; null for all other values. A column without any has no
    entry, and where none has one the lines are not parsed. `9.7E11` is written `9.7E+11`.
    """
    likely = [name for name in least if _key(name, text).search(text)]
    if not likely:
        return {}
    lines = [line for line in text.split(b"\n") if line.strip()]
    found: dict[str, list[str | None]] = {name: [] for name in likely}
    for line in lines:
        try:
            value = json.loads(line, object_pairs_hook=_first_of_each, parse_float=_Written)
        except (ValueError, RecursionError):
            value = {}
        for name, texts in found.items():
            number = value.get(name) if isinstance(value, dict) else None
            if isinstance(number, _Written) and abs(number) >= least[name]:
                texts.append(_SIGNLESS.sub("+", number.text))
            else:
                texts.append(None)
    return {name: pl.Series(texts, dtype=pl.String) for name, texts in found.items()}


def _key(name: str, text: bytes) -> re.Pattern[bytes]:
    """Matches a column's name before a number with a point or an exponent."""
    if b"\\" in text and (not name.isalnum() or b"\\u" in text):
        letters = b"".join(map(_letter, name))
    else:
        letters = re.escape(json.dumps(name, ensure_ascii=False)[1:-1].encode())
    return re.compile(rb'"' + letters + rb'"\s*:\s*-?[0-9]+[.eE]')


def _letter(letter: str) -> bytes:
    """Matches a letter in each way in which JSON may have it."""
    units = letter.encode("utf-16-be")
    code = b"".join(rb"\\u%02x%02x" % (units[i], units[i + 1]) for i in range(0, len(units), 2))
    ways = {letter.encode(), json.dumps(letter, ensure_ascii=False)[1:-1].encode(), b"\\/"}
    if letter != "/":
        ways.discard(b"\\/")
    return b"(?:" + b"|".join([*map(re.escape, sorted(ways)), b"(?i:" + code + b")"]) + b")"
