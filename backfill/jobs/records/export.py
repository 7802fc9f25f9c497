"""Records as a file: in the source's order, and so that its rows can be imported again.

CSV and NDJSON hold typed values as the text under which they would be sent, so a row that comes
back means the same record as before.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from backfill.checks.text import as_text
from backfill.core.atomic_files import put_in_place
from backfill.core.errors import BackfillError, ConfigError
from backfill.core.model import Progress
from backfill.jobs.records.source_order import in_source_order
from backfill.prepare.partition import streamed
from backfill.sources.canonical_text import day_written, json_ready, json_written

__all__ = ["write_records"]

_OURS = ("_row", "_http_status")


def write_records(
    parts: Sequence[pl.LazyFrame],
    target: Path | BinaryIO,
    rows: int,
    directory: Path,
    *,
    files: Sequence[int],
    timezone: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write records in the source's order, in the format that the file's ending names.

    `parts` have the same columns, at least one is there, and together they have so many `rows`;
    the source's `files` have so many each. A stream gets CSV. Memory is bounded: many rows are
    first parted by their place in the source, in a folder under `directory`. Times without a zone
    are those of `timezone`. A file appears whole or not at all. Raises ConfigError for an ending
    other than csv, parquet, ndjson or jsonl, or where there is no such directory, and
    BackfillError where the file cannot be written to its end.
    """
    kind = target.suffix.lower().lstrip(".") if isinstance(target, Path) else "csv"
    if kind not in ("csv", "parquet", "ndjson", "jsonl"):
        raise ConfigError(
            f"{kind or 'no ending'!r} is no format for records",
            where=str(target),
            hint="End the name in .csv, .parquet or .ndjson.",
        )
    if isinstance(target, Path) and not target.absolute().parent.is_dir():
        raise ConfigError("its directory does not exist", where=str(target))
    with _writing(target):
        if kind != "parquet":
            parts = [_written_out(part, timezone, flat=kind == "csv") for part in parts]
        beside = directory if os.access(directory, os.W_OK) else None  # else where the system says
        with tempfile.TemporaryDirectory(dir=beside, prefix=".records-") as place:
            pieces = in_source_order(parts, rows, files, Path(place), progress or _silent)
            ordered = streamed(parts[0].collect_schema(), pieces).drop("__file")
            if not isinstance(target, Path):
                ordered.sink_csv(target)
                return
            with put_in_place(target) as draft:
                if kind == "csv":
                    ordered.sink_csv(draft)
                elif kind == "parquet":
                    ordered.sink_parquet(draft)
                else:
                    ordered.sink_ndjson(draft)


def _silent(phase: str, done: int, total: int | None) -> None:
    del phase, done, total


@contextmanager
def _writing(target: Path | BinaryIO) -> Iterator[None]:
    """What Polars meets while it writes, as an error of ours."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        # Polars' own errors bear no number, and its words for a reader that left are these.
        if "Broken pipe" in str(error):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe") from None
        reason = getattr(error, "strerror", None) or str(error)
        where = str(target) if isinstance(target, Path) else "the output"
        raise BackfillError(f"cannot be written: {reason}", where=where) from error


def _written_out(frame: pl.LazyFrame, timezone: str | None, *, flat: bool) -> pl.LazyFrame:
    """Values as the text that stands for them; with `flat` nested ones as JSON, too."""
    changes = []
    for name, dtype in frame.collect_schema().items():
        if name in _OURS or name == "__file":
            continue
        text = _text_of(pl.col(name), dtype, timezone, flat=flat)
        if text is not None:
            changes.append(text.alias(name))
    return frame.with_columns(changes)


def _text_of(
    value: pl.Expr, dtype: pl.DataType, timezone: str | None, *, flat: bool
) -> pl.Expr | None:
    """How a column is written, None where the format itself writes it right."""
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        sent = as_text(value, dtype, timezone=timezone).value
        return pl.coalesce(sent, day_written(value, dtype))
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return day_written(value, dtype)
    if dtype == pl.Time or (dtype.is_float() and flat):
        sent = as_text(value, dtype, timezone=timezone).value
        return pl.coalesce(sent, value.cast(pl.String))
    if dtype == pl.Duration:
        return value.dt.to_string("iso")
    if dtype == pl.Binary:
        return value.bin.encode("base64")
    if dtype.is_nested():
        return json_written(value, dtype) if flat else json_ready(value, dtype)
    return None
