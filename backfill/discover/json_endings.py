"""Files that end in `.json` and hold an object on each line, as many tools export them."""

from __future__ import annotations

import re
from pathlib import Path

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.locations import Location, locate
from backfill.sources.unsupported_formats import LONGEST_START

__all__ = ["with_format"]

_JSON = re.compile(r"[.]json([.](gz|zst|zstd))?", re.IGNORECASE)


def with_format(files: Files, directory: Path) -> Files:
    """The same files, as NDJSON where all of them end in `.json` and the first begins with an
    object; what begins with `[` is one array.

    Names that lead to no file are left to those who read them.
    """
    lines = files.model_copy(update={"format": "ndjson"})
    try:
        found = locate(lines, directory)
        if all(map(_ends_in_json, found)) and _begins_with_object(found[0], files.encoding):
            return lines
    except SourceError:
        pass
    return files


def _ends_in_json(location: Location) -> bool:
    name = Path(location.path).name
    return not location.remote and _JSON.fullmatch(name[name.lower().rfind(".json") :]) is not None


def _begins_with_object(location: Location, encoding: str) -> bool:
    with open_stream(location.path, location, encoding=encoding) as stream:
        return stream.read(LONGEST_START).lstrip().startswith(b"{")
