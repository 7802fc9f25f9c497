"""Files that are something else than what is read: known by their ending or by how they begin.

What to do about each is said here, so that no message sends a person to another one.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from backfill.core.atomic_files import free_name
from backfill.core.errors import SourceError

__all__ = ["LONGEST_START", "READ", "array_hint", "page_hint", "refuse_begun", "refuse_named"]

READ = ".csv, .txt, .tsv, .tab, .ndjson, .jsonl (these also with .gz or .zst), .parquet and .pq"
LONGEST_START = 512  # bytes of a file that say what it is

_SHEET = "Open it and save the sheet as CSV (or write it as Parquet)."
_UNPACK = "Unpack it first, and name what was in it."
_EXPORT = "Write it as CSV, NDJSON or Parquet, and name that."
_ENDINGS = {
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls"), ("an Excel workbook", _SHEET)),
    **dict.fromkeys((".ods", ".numbers"), ("a spreadsheet", _SHEET)),
    ".zip": ("a ZIP archive", _UNPACK),
    ".7z": ("a 7-Zip archive", _UNPACK),
    ".rar": ("a RAR archive", _UNPACK),
    **dict.fromkeys((".tar", ".tgz"), ("a tar archive", _UNPACK)),
    **dict.fromkeys((".bz2", ".tbz"), ("packed by bzip2", _UNPACK)),
    **dict.fromkeys((".xz", ".txz"), ("packed by xz", _UNPACK)),
    ".lz4": ("packed by LZ4", _UNPACK),
    ".br": ("packed by Brotli", _UNPACK),
    ".avro": ("Avro", _EXPORT),
    ".orc": ("ORC", _EXPORT),
    **dict.fromkeys((".arrow", ".feather"), ("Arrow", _EXPORT)),
    **dict.fromkeys((".sqlite", ".db"), ("a database", _EXPORT)),
}
_UNPACKERS = {".gz": "gzip -dc", ".zst": "zstd -dc"}
_ZIP = rb"PK\x03\x04"  # and so do spreadsheets begin
_PAGE = (
    "a page of HTML",
    "It may be the login page or an error that came instead of the data: look at it, and fetch the"
    " data again. A table in it is to be written as CSV first.",
)
_STARTS = {
    rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype html|html[\s>])": _PAGE,
    rb"%PDF-": ("a PDF", "Have whoever made it export the data as CSV, NDJSON or Parquet."),
    _ZIP: (
        "a ZIP archive or a spreadsheet",
        "Unpack an archive first, and name what was in it; save a spreadsheet as CSV.",
    ),
    rb"\xd0\xcf\x11\xe0": ("an Excel workbook", _SHEET),
    rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)": ("packed by bzip2", _UNPACK),
    rb"\xfd7zXZ\x00": ("packed by xz", _UNPACK),
    rb"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", _UNPACK),
    rb"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
    rb"\x04\x22\x4d\x18": ("packed by LZ4", _UNPACK),
    rb".{257}ustar(?:\x0000|  \x00)": ("a tar archive", _UNPACK),
    rb"SQLite format 3\x00": ("an SQLite database", _EXPORT),
    rb"Obj\x01": ("Avro", _EXPORT),
    rb"ARROW1\x00": ("Arrow", _EXPORT),
}


def refuse_named(name: str, ending: str) -> None:
    """Raise SourceError where a file's ending says that it is nothing that is read."""
    if ending in _ENDINGS:
        what, hint = _ENDINGS[ending]
        raise SourceError(f"is {what}, which is not read", where=name, hint=hint)
    if ending == ".json":
        raise SourceError(
            "the ending '.json' does not say whether it is one JSON array or an object on each"
            " line",
            where=name,
            hint=f'With an object on each line set `format = "ndjson"`. {array_hint(name)}',
        )


def refuse_begun(name: str, start: bytes) -> None:
    """Raise SourceError where a file begins like one that is not read, whatever it is called."""
    for begins, found in _STARTS.items():
        if re.match(begins, start, re.DOTALL):
            own = _ENDINGS.get(Path(name.lower()).suffix) if begins == _ZIP else None
            what, hint = own or found
            raise SourceError(f"is {what}, which is not read", where=name, hint=hint)


def page_hint(name: str, text: bytes) -> str | None:
    """How the list in a whole JSON object, as APIs give a page of results, becomes NDJSON."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    lists = content.items() if isinstance(content, dict) else ()
    for key, value in lists:
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            step = f".{key}[]" if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", key) else f".[{key!r}][]"
            return f"It is one object whose {key!r} holds {len(value):,}. {array_hint(name, step)}"
    return None


def array_hint(name: str, step: str = ".[]") -> str:
    """How a JSON array becomes NDJSON, as a command that writes over no file."""
    path = Path(name)
    unpack = _UNPACKERS.get(path.suffix)
    stem = Path(path.stem).stem if unpack else path.stem
    source, target = shlex.quote(name), shlex.quote(free_name(f"{stem}.ndjson"))
    way = shlex.quote(step)
    read = f"{unpack} {source} | jq -c {way}" if unpack else f"jq -c {way} {source}"
    return f"An array becomes NDJSON by: {read} > {target}"
