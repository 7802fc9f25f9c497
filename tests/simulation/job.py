"""The job of a life, written straight to a directory."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

import polars as pl

from backfill.core.job_files import LEDGER
from backfill.jobdir.manifest import Manifest, fingerprint
from backfill.jobs.audit import BOUND_TO
from backfill.ledger import Ledger
from tests.deliver.jobs import make_job
from tests.simulation.clock import EPOCH
from tests.simulation.plan import Plan

__all__ = ["BASE_URL", "make"]

BASE_URL = "http://127.0.0.1:9"


def make(plan: Plan, directory: Path) -> tuple[Manifest, list[str]]:
    """A planned job, and the key of each of its records by number."""
    directory.mkdir(parents=True)
    made = make_job(directory, plan.destination, plan.lanes, plan.keys)
    for name in ("rejected.parquet", "duplicates.parquet"):
        (directory / name).write_bytes(_empty())
    delivery = {"base_url": BASE_URL, "guarantee": plan.guarantee}
    manifest = made.model_copy(update={"created": EPOCH, "delivery": delivery})
    manifest.write(directory)
    with Ledger.open(directory / LEDGER, create=True, clock=lambda: EPOCH) as ledger:
        ledger.set_meta(BOUND_TO, fingerprint(directory))
    keys: list[str] = []
    for bucket in manifest.buckets:
        frame = pl.read_parquet(directory / "ready" / bucket.file, columns=["key"])
        keys += frame["key"].to_list()
    return manifest, keys


@cache
def _empty() -> bytes:
    buffer = BytesIO()
    pl.DataFrame({"row": []}, schema={"row": pl.UInt64()}).write_parquet(buffer)
    return buffer.getvalue()
