"""One row for each record, with its state: the ready buckets joined with the ledger.

Nothing but the job's directory is read. A bucket's positions meet the ledger's ranges by an
as-of join, so the cost is that of reading the rows once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from backfill.core.errors import ConfigError, did_you_mean
from backfill.core.model import State
from backfill.destinations import destination
from backfill.jobdir.copies import job_file
from backfill.jobdir.manifest import Bucket, Manifest
from backfill.ledger import AnyLedger
from backfill.sources.schemas import flattened

__all__ = [
    "FRONT",
    "left_as_unknown",
    "parts_of_records",
    "ready_records",
    "sample_bodies",
    "sent_records",
    "state_named",
]

_JOINED_AT_ONCE = 150_000  # ready records of a bucket whose states are looked up together

FRONT = ("_file", "_row", "_state", "_reason", "_http_status", "_request_id")

_SPANS: dict[str, pl.DataType] = {
    "bucket": pl.Int64(),
    "start": pl.Int64(),
    "stop": pl.Int64(),
    "state": pl.String(),
    "http_status": pl.Int64(),
    "reason": pl.String(),
    "request_id": pl.String(),
    "at": pl.Float64(),
}
_READY_STATES = (State.PENDING, State.DELIVERED, State.FAILED, State.UNKNOWN)


def state_named(name: str) -> State:
    """A state by its name. Raises ConfigError with the nearest one."""
    try:
        return State(name)
    except ValueError:
        known = [state.value for state in State]
        raise ConfigError(f"there is no state {name!r}", hint=did_you_mean(name, known)) from None


def parts_of_records(
    directory: Path, manifest: Manifest, ledger: AnyLedger, state: State | None = None
) -> list[pl.LazyFrame]:
    """Every record of the job, or those of one state, in parts and in no promised order.

    Each has the columns of FRONT, the source's own, `_raw` and `_cause` (the text of a row that
    could not be read, and why it could not), and `__file`, the number of the file, to order by. At
    least one part is there.
    """
    return list(_parts(directory, manifest, ledger, state)) or [_empty(directory, manifest)]


def ready_records(directory: Path, manifest: Manifest, ledger: AnyLedger) -> Iterator[pl.LazyFrame]:
    """The records that were made ready, in parts: the columns of FRONT and of the ready files."""
    for bucket, spans in _spans(manifest, ledger):
        yield from _with_states(directory, manifest, bucket, spans)


def sample_bodies(directory: Path, manifest: Manifest, n: int) -> pl.DataFrame:
    """The first `n` ready records of the source: `_file`, `_row`, `time`, `key`, `body`."""
    columns: dict[str, pl.DataType] = {
        "_file": pl.String(),
        "_row": pl.UInt64(),
        "time": pl.Datetime("us", "UTC"),
        "key": pl.String(),
        "body": pl.String(),
    }
    parts = [
        pl.scan_parquet(job_file(directory, f"ready/{bucket.file}"), glob=False)
        .select("file", "row", "time", "key", "body")
        .bottom_k(n, by=("file", "row"))
        for bucket in manifest.buckets
    ]
    if not parts:
        return pl.DataFrame(schema=columns)
    return (
        pl.concat(parts)
        .sort("file", "row")
        .head(n)
        .with_columns(_file=_file_names(manifest), _row="row")
        .select(list(columns))
        .collect()
    )


def sent_records(directory: Path, manifest: Manifest, ledger: AnyLedger) -> pl.LazyFrame:
    """What a job has sent, or left out because an earlier one had: `record`, `number`, `row`, …

    Columns: `record` (its key), `number` and `file` (the index and the name of its file), `row`,
    `state` ("delivered" or "unknown"); of what it has sent itself `key` and `time`, and of what an
    earlier job has `job`, `kept_file` and `kept_row`.
    """
    sent = [State.DELIVERED.value, State.UNKNOWN.value]
    parts = [
        frame.filter(pl.col("_state").is_in(sent)).select(
            "record",
            pl.col("__file").alias("number"),
            pl.col("_file").alias("file"),
            pl.col("_row").alias("row"),
            pl.col("_state").alias("state"),
            "key",
            "time",
            pl.lit(None, pl.String).alias("job"),
            pl.lit(None, pl.String).alias("kept_file"),
            pl.lit(None, pl.UInt64).alias("kept_row"),
        )
        for frame in ready_records(directory, manifest, ledger)
    ]
    before = (
        _not_sent(job_file(directory, "duplicates.parquet"), manifest)
        .with_columns(state_there(directory).alias("state"))
        .filter(pl.col("_kept_job").is_not_null())
        .select(
            pl.col("__record").alias("record"),
            pl.col("__file").alias("number"),
            pl.col("_file").alias("file"),
            pl.col("_row").alias("row"),
            "state",
            pl.lit(None, pl.String).alias("key"),
            pl.lit(None, pl.Datetime("us", "UTC")).alias("time"),
            pl.col("_kept_job").alias("job"),
            pl.col("_kept_file").alias("kept_file"),
            pl.col("_kept_row").cast(pl.UInt64).alias("kept_row"),
        )
    )
    return pl.concat([*parts, before])


def left_as_unknown(directory: Path, file: str, row: int) -> tuple[str, str] | None:
    """The job that has a row as unknown, to which this one left it, and which row it is there."""
    rows = pl.scan_parquet(job_file(directory, "duplicates.parquet"), glob=False)
    unknown = state_there(directory) == State.UNKNOWN.value
    found = rows.filter((pl.col("_file") == file) & (pl.col("_row") == row) & unknown)
    places = found.select("_kept_job", pl.format("{}:{}", "_kept_file", "_kept_row")).collect()
    return places.row(0) if places.height else None


def state_there(directory: Path) -> pl.Expr:
    """The state that a duplicate's record has in the earlier job; older jobs knew one alone."""
    found = pl.scan_parquet(job_file(directory, "duplicates.parquet"), glob=False).collect_schema()
    if "_kept_state" in found:
        return pl.col("_kept_state")
    return pl.when(pl.col("_kept_job").is_not_null()).then(pl.lit(State.DELIVERED.value))


# --- parts ---------------------------------------------------------------------------------


def _parts(
    directory: Path, manifest: Manifest, ledger: AnyLedger, state: State | None
) -> Iterator[pl.LazyFrame]:
    own = _own_columns(directory, manifest)
    unsent = {
        State.EXCLUDED: (manifest.excluded, "excluded.parquet"),
        State.REJECTED: (manifest.rejected, "rejected.parquet"),
    }
    for each, (count, name) in unsent.items():
        if state in (None, each) and count:
            frame = _not_sent(job_file(directory, name), manifest)
            yield _shaped(frame.with_columns(_state=pl.lit(each.value)), own)
    if state in (None, State.DUPLICATE) and manifest.duplicate:
        kept = pl.format("{}:{}", "_kept_file", "_kept_row")
        said = (
            pl.when(state_there(directory) == State.UNKNOWN.value)
            .then(pl.lit("unknown, and left to"))
            .otherwise(pl.lit("delivered by"))
        )
        reason = (
            pl.when(pl.col("_kept_job").is_null())
            .then(pl.format("same record as {}", kept))
            .otherwise(pl.format("{} {} as {}", said, "_kept_job", kept))
        )
        frame = _not_sent(job_file(directory, "duplicates.parquet"), manifest)
        yield _shaped(frame.with_columns(_state=pl.lit(State.DUPLICATE.value), _reason=reason), own)
    if state is None or state in _READY_STATES:
        for bucket, spans in _spans(manifest, ledger):
            if state not in (None, State.PENDING) and state.value not in spans["state"]:
                continue
            described = manifest.buckets[bucket]
            chosen = pl.lit(value=True) if state is None else pl.col("_state") == state.value
            for some in _with_states(directory, manifest, bucket, spans):
                frame = some.filter(chosen)
                if described.own:
                    rows = _own_rows(directory, described, manifest.columns)
                    frame = frame.join(
                        rows, on=["__file", "_row"], how="inner", maintain_order="left"
                    )
                yield _shaped(frame, own, prefix="source.")


def _spans(manifest: Manifest, ledger: AnyLedger) -> Iterator[tuple[int, pl.DataFrame]]:
    """The settled ranges of each bucket, ascending."""
    every = pl.DataFrame(ledger.outcome_columns(), schema_overrides=_SPANS)
    parts = every.partition_by("bucket", as_dict=True)
    for bucket in range(len(manifest.buckets)):
        yield bucket, parts.get((bucket,), every.clear()).sort("start")


def _with_states(
    directory: Path, manifest: Manifest, bucket: int, spans: pl.DataFrame
) -> Iterator[pl.LazyFrame]:
    """The ready records of a bucket with their states, so many at a time.

    Joins hold one side whole, and one key can make a bucket of any size. A bucket with files of its
    rows beside it never is a large one.
    """
    described = manifest.buckets[bucket]
    ready = pl.scan_parquet(job_file(directory, f"ready/{described.file}"), glob=False)
    some = described.rows if described.own else _JOINED_AT_ONCE
    for start in range(0, described.rows, some):
        yield _with_state(
            manifest, ready.slice(start, some).with_row_index("position", offset=start), spans
        )


def _with_state(manifest: Manifest, ready: pl.LazyFrame, spans: pl.DataFrame) -> pl.LazyFrame:
    settled = pl.col("stop").is_not_null() & (pl.col("position") < pl.col("stop"))
    ours = destination(manifest.destination).request_id_of("") is not None
    request_id = pl.coalesce("request_id", "record") if ours else pl.col("request_id")
    return (
        ready.with_columns(pl.col("position").cast(pl.Int64))
        .set_sorted("position")
        .join_asof(spans.lazy().drop("bucket", "at"), left_on="position", right_on="start")
        .with_columns(
            _state=pl.when(settled).then("state").otherwise(pl.lit(State.PENDING.value)),
            _reason=pl.when(settled & (pl.col("reason") != "")).then("reason"),
            _http_status=pl.when(settled).then("http_status"),
            _request_id=pl.when(settled).then(request_id),
            _file=_file_names(manifest),
            __file=pl.col("file"),
            _row=pl.col("row"),
        )
    )


def _own_rows(directory: Path, bucket: Bucket, columns: Sequence[str]) -> pl.LazyFrame:
    """A bucket's rows with the source's own columns, of rows that were not sent, too."""
    paths = [job_file(directory, f"ready/{name}") for name in bucket.own]
    rows = pl.scan_parquet(paths, glob=False, hive_partitioning=False)
    types = rows.collect_schema()
    own = [flattened(name, types[name]).alias(f"source.{name}") for name in columns]
    return rows.select("__file", pl.col("__row").alias("_row"), *own)


def _not_sent(path: Path, manifest: Manifest) -> pl.LazyFrame:
    """Rows that are not sent, in the order of `path`, each with the index of its source file."""
    names = {"_file": [entry.name for entry in manifest.events]}
    numbers = pl.LazyFrame(names, schema={"_file": pl.String()}).with_row_index("__file")
    rows = pl.scan_parquet(path, glob=False)
    return rows.join(numbers, on="_file", how="left", maintain_order="left")


def _file_names(manifest: Manifest) -> pl.Expr:
    """The name of a record's file, from its number."""
    numbers = pl.Series(range(len(manifest.events)), dtype=pl.UInt32())
    names = pl.Series([entry.name for entry in manifest.events], dtype=pl.String())
    return pl.col("file").replace_strict(numbers, names, return_dtype=pl.String())


def _own_columns(directory: Path, manifest: Manifest) -> dict[str, pl.DataType]:
    """The source's own columns with their types, as the job's files hold them."""
    found: dict[str, pl.DataType] = dict(
        pl.scan_parquet(job_file(directory, "rejected.parquet"), glob=False).collect_schema()
    )
    if manifest.buckets:
        bucket = manifest.buckets[0]
        ready = (
            _own_rows(directory, bucket, manifest.columns)
            if bucket.own
            else pl.scan_parquet(job_file(directory, f"ready/{bucket.file}"), glob=False)
        )
        found |= {
            name.removeprefix("source."): dtype
            for name, dtype in ready.collect_schema().items()
            if name.startswith("source.")
        }
    own = {name: found.get(name, pl.String()) for name in manifest.columns}
    return {**own, "_raw": pl.String(), "_cause": pl.String()}


def _shaped(frame: pl.LazyFrame, own: dict[str, pl.DataType], *, prefix: str = "") -> pl.LazyFrame:
    """The agreed columns in the agreed order; what a part does not have is null.

    `prefix` is what stands before the names of the source's own columns in this part.
    """
    wanted: dict[str, pl.DataType] = {
        "_file": pl.String(),
        "_row": pl.UInt64(),
        "_state": pl.String(),
        "_reason": pl.String(),
        "_http_status": pl.Int64(),
        "_request_id": pl.String(),
        **own,
        "__file": pl.UInt32(),
    }
    there = frame.collect_schema()
    places = {name: f"{prefix}{name}" if name in own else name for name in wanted}
    return frame.select(
        (pl.col(places[name]) if places[name] in there else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in wanted.items()
    )


def _empty(directory: Path, manifest: Manifest) -> pl.LazyFrame:
    return _shaped(pl.LazyFrame(), _own_columns(directory, manifest)).clear()
