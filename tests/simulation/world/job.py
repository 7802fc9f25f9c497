"""The job of a life, written straight to a directory."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from backfill.core.job_files import LEDGER
from backfill.jobdir.manifest import Manifest, Seal, fingerprint
from backfill.jobs.audit import BOUND_TO
from backfill.ledger import Ledger
from backfill.sources.entries import SourceEntry
from tests.deliver.jobs import manifest_for, ready_frames
from tests.simulation.plan import Plan
from tests.simulation.world.clock import EPOCH

__all__ = ["BASE_URL", "SOURCE", "SimulatedJob", "make"]

BASE_URL = "http://127.0.0.1:9"
SOURCE = "events.csv"
"""The file that all records came from, by their numbers."""


@dataclass(frozen=True)
class SimulatedJob:
    """A planned job, the key of each of its records by number, and what its ready files hold.

    On the disk a ready file is a line that names it. Whoever reads it with Polars is given the
    frame: decoding Parquet takes longer than all else that a small life does.
    """

    manifest: Manifest
    keys: list[str]
    frames: dict[str, pl.DataFrame]

    def scan(self, path: Path, **options: Any) -> pl.LazyFrame:
        """`polars.scan_parquet`."""
        del options
        return self.frames[path.name].lazy()

    def read(self, path: Path, *, columns: list[str], **options: Any) -> pl.DataFrame:
        """`polars.read_parquet`."""
        del options
        return self.frames[path.name][columns]


def make(plan: Plan, directory: Path) -> SimulatedJob:
    """Plan a job in a directory of its own."""
    (directory / "ready").mkdir(parents=True)
    manifest = manifest_for(plan.destination, plan.lanes)
    frames = dict(
        zip(
            [bucket.file for bucket in manifest.buckets],
            ready_frames(plan.destination, plan.lanes, plan.keys),
            strict=True,
        )
    )
    names = [*(f"ready/{name}" for name in frames), "rejected.parquet", "duplicates.parquet"]
    for name in names:
        (directory / name).write_text(f"{name} of {plan.seed}\n")
    manifest = manifest.model_copy(
        update={
            "created": EPOCH,
            "delivery": {"base_url": BASE_URL, "guarantee": plan.guarantee},
            "seals": {name: Seal.of(directory / name) for name in names},
            "events": (
                SourceEntry(
                    name=SOURCE, path=SOURCE, size=0, mtime_ns=0, sha256="", rows=manifest.input
                ),
            ),
        }
    )
    manifest.write(directory)
    empty = _empty_ledger()
    for name, content in empty.items():
        (directory / name).write_bytes(content)
    with Ledger.open(directory / LEDGER, clock=lambda: EPOCH) as ledger:
        ledger.set_meta(BOUND_TO, fingerprint(directory))
    keys = [key for frame in frames.values() for key in frame["key"].to_list()]
    return SimulatedJob(manifest, keys, frames)


@cache
def _empty_ledger() -> dict[str, bytes]:
    """The files of a ledger in which nothing is written yet."""
    place = Path(tempfile.mkdtemp(prefix="ledger-"))
    try:
        Ledger.open(place / LEDGER, create=True, clock=lambda: EPOCH).close()
        return {each.name: each.read_bytes() for each in place.iterdir()}
    finally:
        shutil.rmtree(place)
