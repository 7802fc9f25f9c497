"""A bounded sample of files of any size: their first rows and some from further on.

A large file is not read to its end: an excerpt of it takes its place. So the time that a look
takes does not grow with the source.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from backfill.config.sources import Files
from backfill.core.errors import SeparatorError, SourceError
from backfill.discover.encodings import Encoding, encoding_of, is_utf16
from backfill.prepare.facts.named_encodings import utf8_word
from backfill.prepare.facts.odd_cells import NULL_WORDS, titles_remark
from backfill.prepare.facts.summary_rows import SummaryRow, last_summaries
from backfill.sources.formats.byte_streams import open_stream
from backfill.sources.formats.malformed_causes import CAUSE, Cause
from backfill.sources.formats.parquet_errors import UNREADABLE
from backfill.sources.locations import Location, endings_of, locate, passed_over
from backfill.sources.scan import Source, open_source

__all__ = ["Sample", "read_sample"]

_PREAMBLE = (
    "Most rows have more cells than the first line. If that is a title, delete what stands above"
    " the header, and look again."
)
_UNNAMED = (
    "Most rows end with a separator, and the first line does not: add one there, and look again."
)

_FILES = 8  # looked into, spread evenly over those that there are
_LARGE = 16 << 20  # bytes above which an excerpt is read instead
_HEAD, _MIDDLE = 8 << 20, 2 << 20  # bytes of an excerpt
_ROWS = 20_000  # from the beginning of each file
_SPREAD = 10_000  # from all over the rest
_SHOWN = 60  # characters of a row that cannot be read


@dataclass(frozen=True)
class Sample:
    """Sampled rows, without malformed ones, and what they were taken from.

    `rows` is the number of rows of all files, or None where they were not read to their ends;
    `separator` what stands between the cells, where their ending does not say it; `encoding` how
    they are encoded, where that is not simply UTF-8; `hive` whether directories are columns.
    `partial` are columns that some of the files lack which should have them, so that no field can
    come from there. `malformed` rows of the sample cannot be read; `unreadable` is the file, number
    and text of the first one. `summaries` are rows at the ends of files that look like totals,
    `nulls` cells of text files that stand for missing values. `wider` says what to do where most
    rows have more cells than the first line. `passed_over` are files beside them, and `titles` says
    which lines above the header are no rows.
    """

    frame: pl.DataFrame
    files: int
    rows: int | None
    separator: str | None = None
    encoding: Encoding | None = None
    hive: bool = False
    partial: tuple[str, ...] = ()
    malformed: int = 0
    unreadable: tuple[str, int, str] | None = None
    summaries: tuple[SummaryRow, ...] = ()
    nulls: tuple[str, ...] = ()
    wider: str | None = None
    passed_over: tuple[str, ...] = ()
    titles: str | None = None

    @property
    def common(self) -> pl.DataFrame:
        """The columns that every file has."""
        return self.frame.drop(self.partial)

    @property
    def complete(self) -> bool:
        """Whether every row that can be read is in the sample."""
        return self.rows is not None and self.rows <= _ROWS

    def __str__(self) -> str:
        seen = self.frame.height + self.malformed
        if self.rows is None:
            rows = f"a sample of {seen:,} rows"
        else:
            rows = f"all {seen:,} rows" if self.rows <= seen else f"{seen:,} of {self.rows:,} rows"
        return f"{rows} ({self.malformed:,} cannot be read)" if self.malformed else rows


def read_sample(files: Files, directory: Path, what: Literal["events", "contacts"]) -> Sample:
    """Read a sample of some ten thousand rows. Raises SourceError as reading them all would."""
    beside = passed_over(files, directory)
    locations = locate(files.model_copy(update={"hive": True}), directory)
    chosen = _spread(locations)
    files = files.model_copy(update={"hive": all(each.partitions for each in locations)})
    texts = [each for each in chosen if not each.remote and each.format != "parquet"]
    encoding = _named_encoding(files, texts)
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
            source, separator = _opened(bounded, directory, what)
        except SourceError:
            if not whole:
                # The file itself, read to its end, is what the message has to speak of.
                open_source(files, directory, what=what)
            raise
        step = max(1, source.rows // _SPREAD)
        wanted = (pl.col("__row") <= _ROWS) | (pl.col("__row") % step == 0)
        try:
            rows = source.scan().filter(wanted).collect(engine="streaming").sort("__file", "__row")
        except UNREADABLE:
            source.read_through()  # which names the file
            raise
        nulls = _words_for_null(rows, source.columns, files) if texts else ()
        bad = rows.filter(pl.col("__raw").is_not_null())
        frame = rows.filter(pl.col("__raw").is_null()).select(source.columns)
        first = bad.select("__file", "__row", pl.col("__raw").str.slice(0, _SHOWN)).head(1).rows()
        frame = frame.with_columns(
            pl.col(pl.String).replace(list(nulls), [None] * len(nulls)) for _ in nulls[:1]
        )
        partial = tuple(name for name in source.columns if source.lacking(name))
    known = whole and len(chosen) == len(locations)
    named = zip(source.files, chosen, strict=True)  # an excerpt has another name
    return Sample(
        frame,
        len(locations),
        source.rows if known else None,
        separator,
        encoding,
        hive=files.hive,
        partial=partial,
        malformed=bad.height,
        unreadable=next(((chosen[file].name, row, raw) for file, row, raw in first), None),
        nulls=nulls,
        wider=_advice(bad.filter(pl.col(CAUSE) == Cause.CELLS)["__raw"], rows.height),
        summaries=last_summaries(rows, source.columns) if whole else (),
        passed_over=tuple(beside),
        titles=titles_remark(replace(each, location=which) for each, which in named),
    )


def _advice(too_wide: pl.Series, rows: int) -> str | None:
    """What to do where most rows have more cells than the first line."""
    if 2 * len(too_wide) < max(rows, 1):
        return None
    ended = too_wide.str.strip_chars("\r\n").str.contains(r"[,;|\t]$")
    return _UNNAMED if ended.all() else _PREAMBLE


def _words_for_null(rows: pl.DataFrame, columns: Sequence[str], files: Files) -> tuple[str, ...]:
    """Words that stand for missing values, and that the files' settings do not name."""
    texts = [each for each in rows.select(columns) if each.dtype == pl.String]
    words = (each for each in NULL_WORDS if each not in files.null_values)
    return tuple(word for word in words if any((each == word).any() for each in texts))


def _named_encoding(files: Files, texts: Sequence[Location]) -> Encoding | None:
    """The encoding that the user names, or that a byte order mark does.

    What is UTF-8 stays so, as one name for both sides need not be right for both.
    """
    if files.encoding != Files.model_fields["encoding"].default:
        if texts and all(utf8_word(each.path, each) for each in texts):
            return Encoding("utf-8", "utf-8", instead=files.encoding)
        return Encoding(files.encoding, files.encoding) if texts else None
    return Encoding("utf-16", "utf-16") if any(is_utf16(each) for each in texts) else None


def _opened(
    files: Files, directory: Path, what: Literal["events", "contacts"]
) -> tuple[Source, str | None]:
    """The source, and what stands between the cells where the user or the header say it."""
    try:
        source = open_source(files, directory, what=what)
        other = next((each.other_separator for each in source.files), None)
        if other is None:
            texts = any(each.location.separator is not None for each in source.files)
            return source, files.separator if texts else None
    except SeparatorError as error:
        other = error.separator
    again = files.model_copy(update={"separator": other})
    return open_source(again, directory, what=what), other


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
    folders = [part for part in path.parent.parts if "=" in part] if location.partitions else []
    excerpt = target.joinpath(*folders, f"excerpt{endings_of(path.name)[0]}")
    excerpt.parent.mkdir(parents=True)
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
