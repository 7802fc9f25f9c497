"""Files that hold an object on each line and do not say so: `.json`, logs, parts of an export."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.locations import Location, endings_of, locate, passed_over
from backfill.sources.unsupported_formats import LONGEST_START

__all__ = ["with_format"]


def with_format(files: Files, directory: Path) -> Files:
    """The same files, as NDJSON where no ending says what they are and the first and the last one
    begin with an object; what begins with `[` is one array. A `.txt` beside `.json` is a README.

    Names that lead to no file, and files elsewhere, are left to those who read them.
    """
    if files.format is not None:
        return files
    with suppress(SourceError):
        known = locate(files, directory)
        beside = any(endings_of(each)[0] == ".json" for each in passed_over(files, directory))
        if not beside or not all(endings_of(each.name)[0] == ".txt" for each in known):
            return files
    lines = files.model_copy(update={"format": "ndjson"})
    with suppress(SourceError):
        found = locate(lines, directory)
        named = [each for each in found if endings_of(each.name)[0] == ".json"] or found
        ends = {each.path: each for each in (named[0], named[-1]) if not each.remote}
        if ends and all(_begins_with_object(each, files.encoding) for each in ends.values()):
            return lines
    return files


def _begins_with_object(location: Location, encoding: str) -> bool:
    with open_stream(location.path, location, encoding=encoding) as stream:
        return stream.read(LONGEST_START).lstrip().startswith(b"{")
