"""Records as a file: in the source's order, and so that its rows can be fed back in.

CSV and NDJSON hold typed values as the text under which they would be sent, so a row that comes
back means the same record as before.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from backfill.checks.text import as_text
from backfill.core.atomic_files import put_in_place
from backfill.core.errors import BackfillError, ConfigError
from backfill.sources.canonical_text import day_written, json_ready, json_written

__all__ = ["write_records"]

_SORTED_AT_ONCE = 2_000_000  # rows that are put in order in one piece of memory
_ORDER = ("__file", "_row")
_OURS = ("_row", "_http_status")


def write_records(
    frame: pl.LazyFrame,
    target: Path | BinaryIO,
    rows: int,
    directory: Path,
    *,
    timezone: str | None = None,
) -> None:
    """Write records in the source's order, in the format that the file's ending names.

    A stream gets CSV. Memory is bounded: many rows are first parted by their place in the
    source, in a folder under `directory`. Times without a zone are those of `timezone`. A file
    appears whole or not at all. Raises ConfigError for an ending other than csv, parquet,
    ndjson or jsonl, or where there is no such directory, and BackfillError where the file
    cannot be written to its end.
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
            frame = _written_out(frame, timezone, flat=kind == "csv")
        beside = directory if os.access(directory, os.W_OK) else None  # else where the system says
        with tempfile.TemporaryDirectory(dir=beside, prefix=".records-") as place:
            ordered = _ordered(frame, rows, Path(place)).drop("__file")
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


def _ordered(frame: pl.LazyFrame, rows: int, place: Path) -> pl.LazyFrame:
    if rows <= _SORTED_AT_ONCE:
        return frame.sort(_ORDER)
    piece = pl.col("_row") // _SORTED_AT_ONCE
    parted = place / "parted"
    frame.sink_parquet(
        pl.PartitionBy(parted, key={"f": pl.col("__file"), "p": piece}, include_key=False),
        mkdir=True,
        compression="lz4",
    )
    folders = sorted(parted.glob("f=*/p=*"), key=_numbers)
    return pl.concat([pl.scan_parquet(folder / "*.parquet").sort(_ORDER) for folder in folders])


def _numbers(folder: Path) -> list[int]:
    return [int(part.partition("=")[2]) for part in folder.parts[-2:]]


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
