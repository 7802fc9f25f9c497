"""A bounded sample of files of any size: their first rows and some from further on.

A large file is not read to its end: an excerpt of it takes its place. So the time that a look
takes does not grow with the source.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from backfill.config.types import Files
from backfill.core.errors import SourceError
from backfill.discover.encodings import Encoding, encoding_of, is_utf16
from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.locations import Location, locate
from backfill.sources.scan import open_source

__all__ = ["Sample", "read_sample"]

_FILES = 8  # looked into, spread evenly over those that there are
_LARGE = 16 << 20  # bytes above which an excerpt is read instead
_HEAD, _MIDDLE = 8 << 20, 2 << 20  # bytes of an excerpt
_ROWS = 20_000  # from the beginning of each file
_SPREAD = 10_000  # from all over the rest


@dataclass(frozen=True)
class Sample:
    """Sampled rows, without malformed ones, and what they were taken from.

    `rows` is the number of rows of all files, or None where they were not read to their ends;
    `separator` what stands between the cells, where their ending does not say it; `encoding` how
    they are encoded, where that is not simply UTF-8. `partial` are columns that some of the files
    lack which should have them, so that no field can come from there.
    """

    frame: pl.DataFrame
    files: int
    rows: int | None
    separator: str | None = None
    encoding: Encoding | None = None
    partial: tuple[str, ...] = ()

    @property
    def common(self) -> pl.DataFrame:
        """The columns that every file has."""
        return self.frame.drop(self.partial)

    @property
    def complete(self) -> bool:
        """Whether every row that can be read is in the sample."""
        return self.rows is not None and self.rows <= _ROWS

    def __str__(self) -> str:
        some = f"{self.frame.height:,}"
        if self.rows is None:
            return f"a sample of {some} rows"
        whole = self.rows <= self.frame.height
        return f"all {some} rows" if whole else f"{some} of {self.rows:,} rows"


def read_sample(files: Files, directory: Path, what: Literal["events", "contacts"]) -> Sample:
    """Read a sample of some ten thousand rows. Raises SourceError as reading them all would."""
    locations = locate(files, directory)
    chosen = _spread(locations)
    texts = [each for each in chosen if not each.remote and each.format != "parquet"]
    encoding = Encoding("utf-16", "utf-16") if any(is_utf16(each) for each in texts) else None
    with tempfile.TemporaryDirectory(prefix="backfill-") as folder:
        paths = [
            _bounded(each, Path(folder, str(i)), encoding.reading if encoding else files.encoding)
            for i, each in enumerate(chosen)
        ]
        if encoding is None:
            pairs = zip(paths, chosen, strict=True)
            encoding = encoding_of([each for each in pairs if each[1] in texts], most=_LARGE)
        if encoding is not None:
            files = files.model_copy(update={"encoding": encoding.reading})
        whole = all(path == each.path for path, each in zip(paths, chosen, strict=True))
        try:
            bounded = files.model_copy(update={"files": tuple(paths)})
            source = open_source(bounded, directory, what=what)
            separator = next((each.other_separator for each in source.files), None)
            if separator is not None:
                again = bounded.model_copy(update={"separator": separator})
                source = open_source(again, directory, what=what)
        except SourceError:
            if not whole:
                # The file itself, read to its end, is what the message has to speak of.
                open_source(files, directory, what=what)
            raise
        step = max(1, source.rows // _SPREAD)
        wanted = (pl.col("__row") <= _ROWS) | (pl.col("__row") % step == 0)
        rows = source.scan().filter(pl.col("__raw").is_null() & wanted)
        frame = rows.collect(engine="streaming").sort("__file", "__row").select(source.columns)
        partial = tuple(name for name in source.columns if source.lacking(name))
    known = whole and len(chosen) == len(locations)
    known_rows = source.rows if known else None
    return Sample(frame, len(locations), known_rows, separator, encoding, partial)


def _spread(locations: Sequence[Location]) -> list[Location]:
    count = len(locations)
    if count <= _FILES:
        return list(locations)
    return [locations[i * (count - 1) // (_FILES - 1)] for i in range(_FILES)]


def _bounded(location: Location, target: Path, encoding: str) -> str:
    """The path of a file, or of an excerpt of it at `target` plus its ending."""
    if location.remote:
        return location.path
    path = Path(location.path)
    if path.stat().st_size <= _LARGE:
        return location.path
    endings = [each for each in path.suffixes[-2:] if each.lower() not in (".gz", ".zst", ".zstd")]
    excerpt = target.with_suffix(endings[-1].lower() if endings else "")
    if location.format == "parquet":
        try:
            _excerpt_parquet(path, excerpt)
        except pl.exceptions.PolarsError:
            return location.path  # the reader of whole files says what is wrong with it
    else:
        _excerpt_text(location, excerpt, encoding)
    return str(excerpt)


def _excerpt_parquet(path: Path, excerpt: Path) -> None:
    frame = pl.scan_parquet(path, glob=False)
    rows = int(frame.select(pl.len()).collect().item())
    parts = [frame.head(_ROWS)]
    if rows > 2 * _ROWS:
        parts.append(frame.slice(rows // 2, _ROWS // 4))
    pl.concat([part.collect() for part in parts]).write_parquet(excerpt)


def _excerpt_text(location: Location, excerpt: Path, encoding: str) -> None:
    """Whole lines from the beginning, and from the middle where one can jump there."""
    if encoding == "utf-16":  # a line feed has two bytes there, and stands at even places only
        with open_stream(location.path, location, encoding=encoding) as stream:
            text = _whole_lines(stream.read(_HEAD))
        excerpt.write_bytes(text.decode(errors="replace").encode(encoding))
        return
    with open_stream(location.path, location) as stream:
        text = _whole_lines(stream.read(_HEAD))
    if location.compression is None:
        with Path(location.path).open("rb") as file:
            file.seek(max(_HEAD, Path(location.path).stat().st_size // 2))
            text += _whole_lines(file.read(_MIDDLE).partition(b"\n")[2])
    excerpt.write_bytes(text)


def _whole_lines(text: bytes) -> bytes:
    return text[: text.rfind(b"\n") + 1]
