"""Parts with more rows than are held in memory: ordered on disk, a slice at a time.

Rows that share a key share a part, so one key with most of a source makes a part of that size.
What comes of it is what comes of any other part. Its ready records are sorted as external sorts
do it: a sample of them gives borders between ranges of about equal size, each slice is cut at
these borders, and the ranges are read, sorted and written one after another.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from backfill.jobdir.manifest import Bucket
from backfill.prepare.buckets import ROW_GROUP, BucketWriter, PartOutput, split_own
from backfill.prepare.dedupe import Marks
from backfill.prepare.facts.plan_stats import PlanStats, seen_in_ready
from backfill.prepare.order import lanes_needed, order_of, requests_needed, sorted_by_all
from backfill.prepare.partition import Rows, streamed

__all__ = ["LargePart"]

_SAMPLES = 100  # of a range; the sizes of ranges differ by some tenths then
_SEED = 0x5A3B1E
_STEPS = 3  # survey, cut, write

_FROM = "__from"
_TIE = "__tie:"


@dataclass(frozen=True)
class _Survey:
    """What must be known of all records before the first is written."""

    ready: int
    keys: int
    longest_key: int
    sample: pl.DataFrame


@dataclass(frozen=True)
class LargePart:
    """Records of one part, on disk with their own columns, on their way to one bucket.

    `marked` gives the duplicates among any of them, and `at_once` says how many rows are held in
    memory together. `moved` is told how many rows' worth of the work is done since the last time.
    """

    writer: BucketWriter
    output: PartOutput
    records: Rows
    marked: Marks
    at_once: int
    moved: Callable[[float], None] = lambda _: None

    def settle(self) -> None:
        """Write the part's duplicates and its bucket, as `BucketWriter.settle` does."""
        survey = self._survey()
        destination = self.writer.destination
        lanes = lanes_needed(survey.ready, destination, self.writer.buckets)
        borders = self._borders(survey.sample, lanes)
        stats = PlanStats()
        records: dict[int, int] = {}
        for index, rows in enumerate(self.records.slices(self.at_once)):
            for lane, count in self._cut(stats, f"{index:05d}", rows, lanes, borders):
                records[lane] = records.get(lane, 0) + count
            self.moved(rows.height / _STEPS)
        if survey.ready:
            numbers = {lane: number for number, lane in enumerate(sorted(records))}
            lengths = tuple(records[lane] for lane in numbers)
            stats.keys, stats.longest_key = survey.keys, survey.longest_key
            stats.longest_lane = max(lengths)
            stats.requests = requests_needed(lengths, destination.batch_size)
            path = self.output.path("ready")
            self._write(path, borders.height + 1, numbers)
            self.output.bucket = Bucket(file=path.name, rows=survey.ready, lanes=lengths)
        self.output.stats.add(stats)
        shutil.rmtree(self._ranges, ignore_errors=True)

    def _survey(self) -> _Survey:
        """Count what is left without duplicates, and draw a sample of it, by hash."""
        ties = [name for name in self.writer.destination.tie_order if name in self._columns]
        share = max(1, self.at_once // _SAMPLES)
        ready, samples = 0, []
        keys = pl.DataFrame(schema={"key": pl.String, "count": pl.UInt64})
        for rows in self.records.slices(self.at_once, ["__file", "__row", "key", "time", *ties]):
            left = rows.join(self.marked(rows), on=["__file", "__row"], how="anti")
            ready += left.height
            samples.append(left.filter(pl.col("__row").hash(_SEED) % share == 0))
            counted = left.group_by("key").agg(pl.len().cast(pl.UInt64).alias("count"))
            keys = pl.concat([keys, counted]).group_by("key").agg(pl.col("count").sum())
            self.moved(rows.height / _STEPS)
        longest = keys["count"].max()
        return _Survey(
            ready, keys.height, longest if isinstance(longest, int) else 0, pl.concat(samples)
        )

    @property
    def _columns(self) -> list[str]:
        return self.records.source.collect_schema().names()

    def _borders(self, sample: pl.DataFrame, lanes: int) -> pl.DataFrame:
        """What divides the ranges, in order: one less than there are ranges."""
        order = order_of(sample, self.writer.destination, lanes)
        every = min(_SAMPLES, self.at_once)
        return sorted_by_all(order, order.columns)[every::every]

    def _cut(
        self, stats: PlanStats, name: str, rows: pl.DataFrame, lanes: int, borders: pl.DataFrame
    ) -> list[tuple[int, int]]:
        """Write one slice's duplicates, and its ready records to the ranges that they lie in.

        Returns how many go to which lane.
        """
        records, own = split_own(rows)
        ready = self.writer.without_duplicates(self.output, records, own, self.marked(records))
        if ready.is_empty():
            return []
        stats.add(seen_in_ready(ready, [], self.writer.destination.batch_size))
        order = order_of(ready, self.writer.destination, lanes)
        by = order.columns
        mixed = pl.concat([borders, order.with_row_index(_FROM)], how="diagonal")
        origin = sorted_by_all(mixed, by)[_FROM]
        # A border stands behind the rows before it; without the borders before it, that many.
        stops = [at - before for before, at in enumerate(origin.is_null().arg_true())]
        places = origin.drop_nulls()
        ready = ready.with_columns(order["lane"])
        ties = order.select(pl.col(each).alias(f"{_TIE}{each}") for each in by[2:-2])
        cut = self.writer.as_written(ready, own).hstack(ties)[places]
        start = 0
        for number, stop in enumerate([*stops, cut.height]):
            if stop > start:
                directory = self._range(number)
                directory.mkdir(parents=True, exist_ok=True)
                cut[start:stop].write_parquet(
                    directory / f"{name}.parquet", compression="lz4", statistics=False
                )
            start = stop
        return order["lane"].value_counts(sort=False).rows()

    @property
    def _ranges(self) -> Path:
        return self.output.directory / "ranges"

    def _range(self, number: int) -> Path:
        return self._ranges / f"{number:05d}"

    def _write(self, target: Path, ranges: int, numbers: dict[int, int]) -> None:
        """Put the ranges one behind another into `target`, with lanes counted without gaps."""
        lane = pl.col("lane").replace_strict(
            list(numbers), list(numbers.values()), return_dtype=pl.UInt32()
        )

        def in_order() -> Iterator[pl.DataFrame]:
            for number in range(ranges):
                files = sorted(self._range(number).glob("*.parquet"))
                if files:
                    rows = pl.read_parquet(files, glob=False, hive_partitioning=False)
                    ties = [each for each in rows.columns if each.startswith(_TIE)]
                    rows = sorted_by_all(rows, ["lane", "time", *ties, "file", "row"])
                    yield rows.drop(ties).with_columns(lane)
                    self.moved(rows.height / _STEPS)

        frames = in_order()
        first = next(frames)
        streamed(first.schema, chain([first], frames)).sink_parquet(
            target, compression="lz4", statistics=False, row_group_size=ROW_GROUP
        )
