"""Files that are UTF-8 and are read as something else, which breaks every letter beyond ASCII."""

from __future__ import annotations

import codecs
import contextlib
import re

from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import is_utf8, open_stream
from backfill.sources.locations import Location
from backfill.sources.reimport import is_ours
from backfill.sources.scan import Source

__all__ = ["note_of_encoding", "utf8_word"]

_LOOKED_AT = 1 << 20  # bytes of each file
_FILES = 20
_WORD = re.compile(r"""[^\s,;|"']{0,15}[^\x00-\x7f][^\s,;|"']{0,15}""")


def utf8_word(path: str, location: Location) -> str | None:
    """A word beyond ASCII of a text file that is UTF-8 as far as it is looked at; else None."""
    with contextlib.suppress(SourceError, UnicodeDecodeError), open_stream(path, location) as file:
        text = codecs.getincrementaldecoder("utf-8")().decode(file.read(_LOOKED_AT))
        found = _WORD.search(text)
        return found[0] if found else None
    return None


def note_of_encoding(side: str, encoding: str, source: Source) -> str | None:
    """What to say where a side's text files are read as `encoding`, and one of them is UTF-8."""
    if is_utf8(encoding):
        return None
    files = zip(source.paths, source.files, strict=True)
    texts = [(path, each.location) for path, each in files if each.location.format != "parquet"]
    for path, location in texts[:_FILES]:
        word = utf8_word(str(path), location)
        if word is not None and not is_ours(location, str(path)):  # which is read as UTF-8
            return (
                f"{location.name} is UTF-8, and is read as {encoding}:"
                f" {word.encode().decode(encoding, 'replace')!r} for {word!r}. Leave `encoding` out"
                f" under [{side}]"
            )
    return None
