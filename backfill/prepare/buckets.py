"""Writing what was prepared: ready buckets, and the rows that are not sent, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backfill.destination import Destination
from backfill.jobdir.manifest import Bucket
from backfill.prepare.identity import IDENTITY
from backfill.prepare.order import ordered
from backfill.prepare.plan_stats import PartStats, seen_in_excluded, seen_in_ready, seen_in_rejected
from backfill.prepare.records import REASON
from backfill.sources.schemas import flattened

__all__ = ["OWN", "BucketWriter", "gather"]

OWN = "source."
"""What stands before a source's own column's name beside other columns."""

_ROW_GROUP = 8_192  # rows that a reader of a few positions has to decode


@dataclass(frozen=True)
class BucketWriter:
    """Writes buckets of one job; `work` takes what is gathered into one file at the end.

    `names` are the names of the source's files, `columns` its own columns.
    """

    destination: Destination
    record: pl.Expr
    names: Sequence[str]
    columns: Sequence[str]
    buckets: int
    into: Path
    work: Path

    def reject(self, number: int, rows: pl.DataFrame, rejected: pl.DataFrame) -> PartStats:
        """Write rejected rows (their places in `rows`, and REASON) with their own columns."""
        if rejected.is_empty():
            return PartStats()
        own = rows.select(*self.columns, pl.col("__raw").alias("_raw"))[rejected["__at"]]
        self._write("rejected", number, self._reasoned(rejected), own)
        return seen_in_rejected(rejected)

    def exclude(self, number: int, rows: pl.DataFrame, excluded: pl.DataFrame) -> PartStats:
        """Write rows that are left out on purpose, as `reject` does."""
        if excluded.is_empty():
            return PartStats()
        own = rows.select(self.columns)[excluded["__at"]]
        self._write("excluded", number, self._reasoned(excluded), own)
        return seen_in_excluded(excluded)

    def settle(
        self, number: int, items: pl.DataFrame, rows: pl.DataFrame, marks: pl.DataFrame
    ) -> tuple[PartStats, Bucket | None]:
        """Write one bucket: its duplicates, as marked, and its ready records in their order."""
        stats = PartStats()
        if marks.height:
            duplicates = items.select("__at", "__file", "__row", IDENTITY).join(
                marks, on=["__file", "__row"]
            )
            items = items.filter(~pl.col("__at").is_in(duplicates["__at"].implode()))
            stats.duplicate = duplicates.height
            out = duplicates.select(
                "__file",
                self._name("__file").alias("_file"),
                pl.col("__row").alias("_row"),
                pl.coalesce(self._name("__kept"), "_kept_file").alias("_kept_file"),
                "_kept_row",
                "_kept_job",
                "_kept_state",
                # What an earlier job delivered is known to later ones by its record key.
                pl.when(pl.col("_kept_job").is_not_null()).then(self.record).alias("__record"),
            )
            if duplicates.height:
                self._write(
                    "duplicates", number, out, rows.select(self.columns)[duplicates["__at"]]
                )
        if items.is_empty():
            return stats, None
        # The record keys come first: hashing reads the identities where they were just written.
        keyed = items.with_columns(self.record.alias("record")).drop(IDENTITY)
        ready = ordered(keyed, self.destination, self.buckets)
        lanes = ready["lane"].rle().struct.field("len").to_list()
        out = ready.select(
            "lane",
            pl.col("__file").alias("file"),
            pl.col("__row").alias("row"),
            "time",
            "key",
            "record",
            "body",
        )
        types = rows.schema  # worked out anew at each use, which thousands of columns would feel
        own = rows.select(
            flattened(name, types[name]).alias(f"{OWN}{name}") for name in self.columns
        )
        name = f"{number:03d}.parquet"
        out.hstack(own[ready["__at"]]).write_parquet(
            self.into / "ready" / name,
            compression="lz4",
            statistics=False,
            row_group_size=_ROW_GROUP,
        )
        found = seen_in_ready(ready, lanes, self.destination.batch_size)
        found.duplicate = stats.duplicate
        for column in ready.columns:
            if column.startswith("__warned"):
                found.warned[column] = int(ready[column].sum())
        return found, Bucket(file=name, rows=ready.height, lanes=tuple(lanes))

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

    def _write(self, what: str, number: int, out: pl.DataFrame, own: pl.DataFrame) -> None:
        directory = self.work / what
        directory.mkdir(exist_ok=True)
        rows = out.hstack(own).sort("__file", "_row")
        rows.write_parquet(directory / f"{number:04d}.parquet", compression="lz4")


def gather(directory: Path, target: Path, schema: pl.Schema) -> int:
    """Put the files of a directory together, in source order where memory allows it.

    Returns the rows that stand in `target` afterwards, which has the columns of `schema`.
    """
    files = sorted(directory.glob("*.parquet"))
    if not files:
        pl.DataFrame(schema=schema).write_parquet(target)
        return 0
    rows = pl.scan_parquet(files, glob=False)
    total: int = rows.select(pl.len()).collect().item()
    if total <= _SORTABLE:
        rows = rows.sort("__file", "_row")
    found = rows.collect_schema()
    rows.select(flattened(name, found[name]) for name in schema).sink_parquet(
        target, compression="zstd"
    )
    return int(pl.scan_parquet(target, glob=False).select(pl.len()).collect().item())


_SORTABLE = 1_000_000  # rows
