"""Writing what was prepared: ready buckets, and the rows that are not sent, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from backfill.destination import Destination
from backfill.jobdir.manifest import Bucket
from backfill.prepare.facts.plan_stats import (
    PlanStats,
    seen_in_excluded,
    seen_in_ready,
    seen_in_rejected,
)
from backfill.prepare.identity import IDENTITY
from backfill.prepare.order import ordered
from backfill.prepare.partition import Files
from backfill.prepare.records import REASON
from backfill.sources.schemas import flattened

__all__ = ["OWN", "ROW_GROUP", "BucketWriter", "PartOutput", "gather", "split_own", "with_own"]

OWN = "source."
"""What stands before a source's own column's name beside other columns."""

ROW_GROUP = 8_192
"""Rows that a reader of a few positions of a bucket has to decode."""

_POINTED_TO = 8
"""Files of its source's rows to which a bucket points at most.

A split into more parts than its sink keeps open at once writes many small files for each. Their
number grows with the square of the rows, and each is sealed, named in the manifest and looked at
whenever the job is opened; writing the rows once more costs a tenth of a plan.
"""


@dataclass
class PartOutput:
    """What one task made of `rows` rows: files in its own directory by what they hold, counts.

    The bucket, where there is one, has the file "ready".
    """

    directory: Path
    rows: int
    stats: PlanStats = field(default_factory=PlanStats)
    files: dict[str, list[str]] = field(default_factory=dict)
    bucket: Bucket | None = None

    def path(self, what: str) -> Path:
        """The path of a new file, which is there from now on."""
        known = self.files.setdefault(what, [])
        path = self.directory / f"{what}-{len(known):05d}.parquet"
        known.append(str(path))
        return path


@dataclass(frozen=True)
class BucketWriter:
    """Writes the buckets of one job, and its rows that are not sent.

    `names` are the names of the source's files, `columns` its own columns.
    """

    destination: Destination
    record: pl.Expr
    names: Sequence[str]
    columns: Sequence[str]
    buckets: int

    def reject(self, output: PartOutput, rows: pl.DataFrame, rejected: pl.DataFrame) -> None:
        """Write rejected rows (their places in `rows`, and REASON) with their own columns."""
        if rejected.is_empty():
            return
        own = rows.select(
            *self.columns,
            pl.col("__raw").alias("_raw"),
            pl.col("__cause").cast(pl.String).alias("_cause"),
        )[rejected["__at"]]
        _write(output.path("rejected"), self._reasoned(rejected), own)
        stats = seen_in_rejected(rejected)
        stats.causes.update(dict(own["_cause"].drop_nulls().value_counts().iter_rows()))
        output.stats.add(stats)

    def exclude(self, output: PartOutput, rows: pl.DataFrame, excluded: pl.DataFrame) -> None:
        """Write rows that are left out on purpose, as `reject` does."""
        if excluded.is_empty():
            return
        own = rows.select(self.columns)[excluded["__at"]]
        _write(output.path("excluded"), self._reasoned(excluded), own)
        output.stats.add(seen_in_excluded(excluded))

    def settle(
        self,
        output: PartOutput,
        items: pl.DataFrame,
        rows: pl.DataFrame,
        marks: pl.DataFrame,
        files: Files = (),
    ) -> None:
        """Write one bucket: its duplicates, as marked, and its ready records in their order.

        Where a few `files` hold `rows` already, and most of these are ready, the bucket points to
        them.
        """
        ready = self.without_duplicates(output, items, rows, marks)
        if ready.is_empty():
            return
        ready = ordered(ready, self.destination, self.buckets)
        lanes = ready["lane"].rle().struct.field("len").to_list()
        path = output.path("ready")
        own = files if len(files) <= _POINTED_TO and ready.height > rows.height / 2 else ()
        out = _in_bucket(ready) if own else self.as_written(ready, rows)
        out.write_parquet(
            path,
            compression="lz4",
            statistics=False,
            row_group_size=ROW_GROUP,
        )
        output.stats.add(seen_in_ready(ready, lanes, self.destination.batch_size))
        output.bucket = Bucket(file=path.name, rows=ready.height, lanes=tuple(lanes), own=own)

    def without_duplicates(
        self, output: PartOutput, items: pl.DataFrame, rows: pl.DataFrame, marks: pl.DataFrame
    ) -> pl.DataFrame:
        """Write the records that are marked with their own columns; returns the others, keyed."""
        if marks.height:
            duplicates = items.select("__at", "__file", "__row", IDENTITY).join(
                marks, on=["__file", "__row"]
            )
            items = items.filter(~pl.col("__at").is_in(duplicates["__at"].implode()))
            # What an earlier job delivered is known to later ones by its record key.
            record = pl.when(pl.col("_kept_job").is_not_null()).then(self.record)
            self._duplicate(output, rows, duplicates, record)
        # The record keys come first: hashing reads the identities where they were just written.
        return items.with_columns(self.record.alias("record")).drop(IDENTITY)

    def sent_before(self, output: PartOutput, rows: pl.DataFrame, sent: pl.DataFrame) -> None:
        """Write rows that an earlier job sent, and that are no records by this configuration.

        `sent` has their places in `rows` and their marks. They have no record key.
        """
        self._duplicate(output, rows, sent, pl.lit(None, pl.String))

    def _duplicate(
        self, output: PartOutput, rows: pl.DataFrame, duplicates: pl.DataFrame, record: pl.Expr
    ) -> None:
        if duplicates.is_empty():
            return
        output.stats.duplicate += duplicates.height
        out = duplicates.select(
            "__file",
            self._name("__file").alias("_file"),
            pl.col("__row").alias("_row"),
            pl.coalesce(self._name("__kept"), "_kept_file").alias("_kept_file"),
            "_kept_row",
            "_kept_job",
            "_kept_state",
            record.alias("__record"),
        )
        own = rows.select(self.columns)[duplicates["__at"]]
        _write(output.path("duplicates"), out, own)

    def as_written(self, ready: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        """Ready records as a bucket's file has them: with the source's own columns."""
        types = rows.schema  # worked out anew at each use, which thousands of columns would feel
        own = rows.select(
            flattened(name, types[name]).alias(f"{OWN}{name}") for name in self.columns
        )
        return _in_bucket(ready).hstack(own[ready["__at"]])

    def _reasoned(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            "__file",
            self._name("__file").alias("_file"),
            pl.col("__row").alias("_row"),
            pl.col(REASON).alias("_reason"),
        )

    def _name(self, index: str) -> pl.Expr:
        """The name of a file by its index."""
        numbers = pl.Series(range(len(self.names)), dtype=pl.UInt32())
        names = pl.Series(self.names, dtype=pl.String())
        return pl.col(index).replace_strict(numbers, names, return_dtype=pl.String())


def _in_bucket(ready: pl.DataFrame) -> pl.DataFrame:
    """What every bucket's file has of its records."""
    place = (pl.col("__file").alias("file"), pl.col("__row").alias("row"))
    return ready.select("lane", *place, "time", "key", "record", "body")


def _write(path: Path, out: pl.DataFrame, own: pl.DataFrame) -> None:
    out.hstack(own).sort("__file", "_row").write_parquet(path, compression="lz4")


def with_own(items: pl.DataFrame, rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Records beside their own columns, from the rows in which `__at` says where they stand."""
    own = rows.select(pl.col(name).alias(f"{OWN}{name}") for name in columns)
    return items.drop("__at").hstack(own[items["__at"]])


def split_own(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What `with_own` put together: records with `__at`, and the rows of their own columns."""
    own = [name for name in rows.columns if name.startswith(OWN)]
    return (
        rows.drop(own).with_row_index("__at"),
        rows.select(pl.col(name).alias(name.removeprefix(OWN)) for name in own),
    )


def gather(files: Sequence[str], target: Path, schema: pl.Schema) -> int:
    """Put files together, in source order where memory allows it, else in theirs.

    Returns the rows that stand in `target` afterwards, which has the columns of `schema`.
    """
    if not files:
        pl.DataFrame(schema=schema).write_parquet(target)
        return 0
    rows = pl.scan_parquet(list(files), glob=False)
    total: int = rows.select(pl.len()).collect().item()
    if total <= _SORTABLE:
        rows = rows.sort("__file", "_row")
    found = rows.collect_schema()
    rows.select(flattened(name, found[name]) for name in schema).sink_parquet(
        target, compression="zstd"
    )
    return int(pl.scan_parquet(target, glob=False).select(pl.len()).collect().item())


_SORTABLE = 1_000_000  # rows
