"""Which records a person means: all of a state, or by file, HTTP status or reason."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfill.core.errors import ConfigError, did_you_mean
from backfill.core.model import Range, State
from backfill.core.typed_paths import typed_path
from backfill.jobdir.copies import job_file
from backfill.jobdir.manifest import Manifest
from backfill.jobs.run_history import record_decision
from backfill.ledger import AnyLedger

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RESOLUTIONS", "Choice", "Settled", "settle"]

RESOLUTIONS = {
    "resend": State.PENDING,
    "delivered": State.DELIVERED,
    "failed": State.FAILED,
}
"""What an unknown record can be settled as, in a person's words."""

_PLACE = ("_file", "_row")
_HEADER = 1 << 16  # bytes of a first line that are looked at


class Settled(int):
    """How many records were settled; `ignored` counts rows that were named in vain."""

    ignored: int

    def __new__(cls, count: int, ignored: int = 0) -> Settled:
        self = super().__new__(cls, count)
        self.ignored = ignored
        return self


@dataclass(frozen=True)
class Choice:
    """At most one of: rows that `records` gave out (a file or a frame), a status, a reason.

    Raises ConfigError for more than one.
    """

    source: Any = None
    status: int | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.source, self.status, self.reason)) > 1:
            raise ConfigError(
                "specify exactly one of a file, a status and a reason, or none of them for all"
            )
        if self.status is not None and not isinstance(self.status, Integral):
            raise ConfigError(f"the status is a number such as 422, and not {self.status!r}")
        if self.reason is not None and not isinstance(self.reason, str):
            raise ConfigError(f"the reason is a text, and not {self.reason!r}")
        if self.reason == "":
            raise ConfigError("the reason is empty; leave it out for all records")


def settle(
    directory: Path,
    manifest: Manifest,
    ledger: AnyLedger,
    to: State,
    choice: Choice,
    *,
    of: State = State.FAILED,
) -> Settled:
    """Move the chosen ones of the records of a state, FAILED or UNKNOWN, to another state."""
    positions, named = _chosen(directory, manifest, ledger, of, choice)
    count = ledger.retry(positions) if of is State.FAILED else ledger.resolve(to, positions)
    if count:
        record_decision(ledger)
    return Settled(count, max(0, named - count))


def _chosen(
    directory: Path, manifest: Manifest, ledger: AnyLedger, state: State, choice: Choice
) -> tuple[dict[int, list[Range]] | None, int]:
    """The positions that a choice means, None for all, and how many rows its source names."""
    if choice.source is not None:
        return _of_source(directory, manifest, _places(choice.source))
    if choice.status is None and choice.reason is None:
        return None, 0
    found: dict[int, list[Range]] = {}
    for bucket, outcome, _ in ledger.outcomes(state):
        if choice.reason is None:
            meant = outcome.http_status == choice.status
        else:
            said = f"{outcome.http_status or ''} {outcome.reason}".casefold()
            meant = choice.reason.casefold() in said
        if meant:
            found.setdefault(bucket, []).extend(outcome.ranges)
    return found, 0


def _of_source(
    directory: Path, manifest: Manifest, places: pl.LazyFrame
) -> tuple[dict[int, list[Range]], int]:
    """Positions of the rows at these places, and how many different ones are named."""
    import polars as pl  # noqa: PLC0415

    names = [entry.name for entry in manifest.events]
    files = pl.LazyFrame(
        {"_file": names, "rows": [entry.rows for entry in manifest.events]},
        schema={"_file": pl.String(), "rows": pl.UInt64()},
    ).with_row_index("file")
    named = places.unique().join(files, on="_file", how="left").collect()
    unknown = named.filter(pl.col("file").is_null() & pl.col("_file").is_not_null())
    if unknown.height:
        raise ConfigError(
            f"{unknown['_file'][0]} is no file of this job",
            hint=did_you_mean(str(unknown["_file"][0]), names)
            or "Take rows that `backfill records` wrote of this very job.",
        )
    beyond = named.filter(~pl.col("_row").is_between(1, pl.col("rows"))).select("file", "_row")
    if beyond.height:
        file, row = min(beyond.rows())
        raise manifest.events[file].lacks(row)
    wanted = named.lazy().drop_nulls("file").select("file", row="_row")
    found: dict[int, list[Range]] = {}
    for number, bucket in enumerate(manifest.buckets):
        positions = (
            pl.scan_parquet(job_file(directory, f"ready/{bucket.file}"), glob=False)
            .select("file", "row")
            .with_row_index("position")
            .join(wanted, on=["file", "row"], how="semi")
            .select(pl.col("position").cast(pl.Int64).sort())
            .with_columns(run=pl.col("position") - pl.int_range(pl.len()))
            .group_by("run", maintain_order=True)
            .agg(start=pl.col("position").first(), stop=pl.col("position").last() + 1)
            .select("start", "stop")
            .collect()
        )
        if positions.height:
            found[number] = positions.rows()
    return found, named.height


def _places(source: Any) -> pl.LazyFrame:
    """`_file` and `_row` of a file or a frame. Raises ConfigError where they are not there."""
    import polars as pl  # noqa: PLC0415

    from backfill.jobs.stored_frames import as_lazy, is_frame  # noqa: PLC0415

    if is_frame(source):
        frame, where = as_lazy(source, "source"), None
    elif isinstance(source, str | Path):
        frame, where = _scanned(typed_path(source)), str(source)
    else:
        raise ConfigError(f"a file or a frame, and not a {type(source).__name__}")
    try:
        missing = [name for name in _PLACE if name not in frame.collect_schema()]
        if missing:
            raise ConfigError(
                f"there is no column {missing[0]}",
                where=where,
                hint="Take rows that `backfill records JOB -o FILE` wrote.",
            )
        rows = frame.select(
            pl.col("_file").cast(pl.String),
            pl.col("_row").cast(pl.UInt64, strict=False),
            said=pl.col("_row").cast(pl.String),
        ).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"the rows cannot be read: {reason}", where=where) from error
    wrong = rows.with_row_index("number", offset=1).filter(pl.col("_row").is_null())
    if wrong.height:
        number, said = wrong.select("number", "said").row(0)
        raise ConfigError(
            f"row {number:,}: _row is {said!r}, and no number of a row",
            where=where,
            hint="Leave such rows out, such as a second header.",
        )
    return rows.lazy().drop("said")


def _as_saved(file: Path) -> pl.LazyFrame:
    """A CSV as a spreadsheet may have saved it: in UTF-16, or with another separator."""
    import polars as pl  # noqa: PLC0415

    with file.open("rb") as stream:
        start = stream.readline(_HEADER)
    source: Path | bytes = file
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        source = file.read_bytes().decode("utf-16", "replace").encode()
        start = source[:_HEADER]
    # What stands behind the first column's name.
    found = start.removeprefix(BOM_UTF8).replace(b'"', b"").removeprefix(b"_file")[:1]
    separator = found.decode() if found in (b";", b"\t", b"|") else ","
    return pl.scan_csv(
        source, separator=separator, encoding="utf8-lossy", infer_schema=False, glob=False
    )


def _scanned(file: Path) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415

    if not file.is_file():
        raise ConfigError("there is no such file", where=str(file))
    match file.suffix.lower():
        case ".csv":
            return _as_saved(file)
        case ".parquet":
            return pl.scan_parquet(file, glob=False)
        case ".ndjson" | ".jsonl":
            return pl.scan_ndjson(file, infer_schema_length=None).select(*_PLACE)
        case ending:
            raise ConfigError(
                f"{ending or 'no ending'!r} is no format of records",
                where=str(file),
                hint="The name ends in .csv, .parquet or .ndjson.",
            )
