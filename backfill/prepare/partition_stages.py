"""A job's parts, one after another: made, gathered by key where need be, and settled.

What one split has gathered already is not split again: a source whose join key is the ordering
key needs one pass; phones that come from the contacts need a second one, of what was made; an
identity without the ordering key finds its duplicates among parts of its own.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl

from backfill.config import Config
from backfill.core.model import Progress
from backfill.jobdir.manifest import Bucket
from backfill.prepare.buckets import OWN, BucketWriter
from backfill.prepare.dedupe import MARKS, marks
from backfill.prepare.identity import IDENTITY, Identity
from backfill.prepare.mapping.binding import Binding
from backfill.prepare.mapping.fields import FieldMapping
from backfill.prepare.partition import Parts, split
from backfill.prepare.plan_stats import PartStats, PlanStats, count_conversions
from backfill.prepare.previous_jobs import LeftOut
from backfill.prepare.records import RecordMaker
from backfill.sources.scan import Source

__all__ = ["Passes"]

_T = TypeVar("_T")

_WORKERS = 2
"""Parts that are worked on at once: one computes while another reads or writes."""

_TWINS = 8  # identities are short, so their parts may hold more rows than a bucket does


@dataclass
class Passes:
    """One job's rows on their way: `run` writes the buckets, and `tally` has counted them."""

    config: Config
    binding: Binding
    identity: Identity
    mapping: FieldMapping
    events: Source
    contacts: Source | None
    left_out: LeftOut
    parts: int
    into: Path
    work: Path
    tell: Progress

    def __post_init__(self) -> None:
        self.stats = PlanStats()
        self.lock = threading.Lock()
        self.maker = RecordMaker(self.binding, self.mapping, self.identity)
        self.writer = BucketWriter(
            destination=self.binding.destination,
            record=self.identity.record,
            names=[entry.name for entry in self.events.entries],
            columns=self.events.columns,
            buckets=self.parts,
            into=self.into,
            work=self.work,
        )

    # --- the way of a row ------------------------------------------------------------------

    def run(self) -> list[Bucket]:
        """Split, make, gather and settle; in one pass where that suffices, else in two."""
        rows, contacts = self._split_sources()
        if self._gathered_at_once():
            return self._make_and_settle(rows, contacts)
        items = self._make(rows, contacts)
        if items is None:
            return []
        duplicates = self._find_twins(items) if not self._identity_gathered() else None
        return self._gather_and_settle(items, duplicates)

    def _split_sources(self) -> tuple[Parts, Parts | None]:
        """Both sources by the join key, or the events alone by the ordering key."""
        self.tell("splitting", 0, self.events.rows)
        rows = split(self.events.scan(), self.mapping.events_part, self.work / "events", self.parts)
        contacts = None
        if self.contacts is not None and self.mapping.join is not None:
            needed = ["__file", "__row", *self.binding.contacts_columns()]
            readable = self.contacts.scan().filter(pl.col("__raw").is_null()).select(needed)
            contacts = split(
                readable, self.mapping.join.contacts_part, self.work / "contacts", self.parts
            )
        self.tell("splitting", self.events.rows, self.events.rows)
        return rows, contacts

    def _gathered_at_once(self) -> bool:
        return self.parts == 1 or (self.mapping.gathered and self._identity_gathered())

    def _identity_gathered(self) -> bool:
        """Whether the same records meet in one bucket; earlier jobs' records never do."""
        return (
            self.binding.destination.ordering_field in self.binding.identity
            and self.left_out.by_key is None
        )

    def _make_and_settle(self, rows: Parts, contacts: Parts | None) -> list[Bucket]:
        """One pass: each part is a bucket."""

        def work(number: int) -> tuple[int, Bucket | None]:
            part = _collected(rows, number)
            if part is None:
                return 0, None
            items = self._records(number, part, contacts)
            same = marks(
                items,
                self.config.dedupe.keep,
                record=self.identity.record,
                left_out=self.left_out,
            )
            return part.height, self._settle(number, items, part, same)

        return self._each_bucket("preparing", work)

    def _make(self, rows: Parts, contacts: Parts | None) -> pl.LazyFrame | None:
        """First of two passes: good records of each part, with the source's own columns.

        None where the source has no row at all.
        """
        directory = self.work / "items"
        directory.mkdir()
        own = [pl.col(name).alias(f"{OWN}{name}") for name in self.events.columns]

        def work(number: int) -> tuple[int, None]:
            part = _collected(rows, number)
            if part is None:
                return 0, None
            items = self._records(number, part, contacts)
            whole = items.drop("__at").hstack(part.select(own)[items["__at"]])
            whole.write_parquet(
                directory / f"{number:04d}.parquet", compression="lz4", statistics=False
            )
            return part.height, None

        self._each("preparing", work)
        files = sorted(directory.glob("*.parquet"))
        return pl.scan_parquet(files, glob=False) if files else None

    def _find_twins(self, items: pl.LazyFrame) -> Path:
        """Mark duplicates among parts of their own, of identities only."""
        directory = self.work / "marks"
        directory.mkdir()
        record = self.identity.record.alias("record")
        count = max(1, self.parts // _TWINS)
        needed = items.select("__file", "__row", IDENTITY).with_columns(record)
        found = split(needed, pl.col("record"), self.work / "identities", count)
        earlier = None
        if self.left_out.by_key is not None:
            earlier = split(
                self.left_out.by_key.with_columns(
                    pl.lit(0, pl.UInt32).alias("__file"), pl.col("_kept_row").alias("__row")
                ),
                pl.col("record"),
                self.work / "earlier",
                count,
            )

        def work(number: int) -> tuple[int, None]:
            part = _collected(found, number)
            if part is None:
                return 0, None
            known = earlier.scan(number) if earlier is not None else None
            same = marks(
                part,
                self.config.dedupe.keep,
                record=pl.col("record"),
                left_out=LeftOut(
                    known.drop("__file", "__row") if known is not None else None,
                    self.left_out.by_place,
                ),
            )
            if same.height:
                same.write_parquet(directory / f"{number:04d}.parquet", compression="lz4")
            found.drop(number)
            return part.height, None

        self._each("finding duplicates", work, count)
        return directory

    def _gather_and_settle(self, items: pl.LazyFrame, duplicates: Path | None) -> list[Bucket]:
        """Second of two passes: the records of one ordering key come together."""
        parts = split(items, pl.col("key"), self.work / "gathered", self.parts)
        shutil.rmtree(self.work / "items", ignore_errors=True)
        known = sorted(duplicates.glob("*.parquet")) if duplicates else []

        def work(number: int) -> tuple[int, Bucket | None]:
            part = _collected(parts, number)
            if part is None:
                return 0, None
            own = [name for name in part.columns if name.startswith(OWN)]
            rows = part.select(pl.col(name).alias(name.removeprefix(OWN)) for name in own)
            records = part.drop(own).with_row_index("__at")
            if duplicates is None:
                same = marks(records, self.config.dedupe.keep, left_out=self.left_out)
            elif known:
                place = ["__file", "__row"]
                same = (
                    pl.scan_parquet(known, glob=False)
                    .join(records.lazy().select(place), on=place, how="semi")
                    .collect()
                )
            else:
                same = pl.DataFrame(schema=MARKS)
            parts.drop(number)
            return part.height, self._settle(number, records, rows, same)

        return self._each_bucket("ordering", work)

    # --- one part --------------------------------------------------------------------------

    def _records(self, number: int, rows: pl.DataFrame, contacts: Parts | None) -> pl.DataFrame:
        """Make records of a part; the rejected and excluded ones are written at once."""
        matched = contacts.scan(number) if contacts is not None else None
        if contacts is not None and matched is None:
            matched = self._empty_contacts()
        made = self.maker.make(rows, matched)
        stats = self.writer.reject(number, rows, made.rejected)
        stats.unmatched_events = made.unmatched_events
        stats.unmatched = [((file, row), name) for file, row, name in made.unmatched]
        stats.undecodable = made.undecodable
        stats.dropped.update(made.dropped)
        count_conversions(stats, made.converted)
        stats.lacking.update(made.lacking)
        self._count(stats)
        self._count(self.writer.exclude(number, rows, made.excluded))
        return made.items

    def _empty_contacts(self) -> pl.LazyFrame:
        """A part without contacts."""
        schema = {} if self.contacts is None else self.contacts.schema
        needed = {name: schema[name] for name in self.binding.contacts_columns()}
        return pl.LazyFrame(schema={"__file": pl.UInt32, "__row": pl.UInt64, **needed})

    def _settle(
        self, number: int, items: pl.DataFrame, rows: pl.DataFrame, same: pl.DataFrame
    ) -> Bucket | None:
        stats, bucket = self.writer.settle(number, items, rows, same)
        self._count(stats)
        return bucket

    def _count(self, stats: PartStats) -> None:
        with self.lock:
            self.stats.add(stats)

    # --- all parts -------------------------------------------------------------------------

    def _each(
        self, phase: str, work: Callable[[int], tuple[int, _T]], count: int | None = None
    ) -> list[_T]:
        """Work on every part, some at a time; results in the order of parts."""
        results: list[_T] = []
        done = 0
        with (
            ThreadPoolExecutor(_WORKERS) as pool,
            _cancelling([pool.submit(work, each) for each in range(count or self.parts)]) as parts,
        ):
            for part in parts:
                rows, result = part.result()
                results.append(result)
                done += rows
                self.tell(phase, done, self.events.rows)
        return results

    def _each_bucket(
        self, phase: str, work: Callable[[int], tuple[int, Bucket | None]]
    ) -> list[Bucket]:
        """Work on every part, and number the buckets that came of it without gaps."""
        buckets: list[Bucket] = []
        for bucket in self._each(phase, work):
            if bucket is None:
                continue
            name = f"{len(buckets):03d}.parquet"
            (self.into / "ready" / bucket.file).rename(self.into / "ready" / name)
            buckets.append(bucket.model_copy(update={"file": name}))
        return buckets


@contextmanager
def _cancelling(futures: list[Future[_T]]) -> Iterator[list[Future[_T]]]:
    """Where one part fails, the parts that wait are not begun."""
    try:
        yield futures
    finally:
        for future in futures:
            future.cancel()


def _collected(parts: Parts, number: int) -> pl.DataFrame | None:
    rows = parts.scan(number)
    part = rows.collect() if rows is not None else None
    return part if part is not None and part.height else None
