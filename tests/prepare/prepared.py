"""A job prepared from frames in a directory of its own, and all that came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from backfill.config import Config, config_from_mapping
from backfill.core.model import Progress
from backfill.destinations import builtin_destinations
from backfill.jobdir.manifest import Bucket, Manifest
from backfill.prepare.engines.engine import Engine
from backfill.prepare.left_out import Previous
from backfill.prepare.pipeline import prepare
from backfill.sources.schemas import flattened

NOW = datetime(2025, 6, 1, tzinfo=UTC)
POPULATION = "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"


@dataclass(frozen=True)
class Prepared:
    """The manifest and the files of one prepared job, read whole."""

    manifest: Manifest
    buckets: list[pl.DataFrame]
    rejected: pl.DataFrame
    duplicates: pl.DataFrame
    directory: Path

    @property
    def ready(self) -> pl.DataFrame:
        return pl.concat(self.buckets) if self.buckets else pl.DataFrame()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies in source order."""
        if not self.buckets:
            return []
        return [json.loads(body) for body in self.ready.sort("file", "row")["body"]]

    @property
    def reasons(self) -> dict[int, str]:
        """Row to the rules that it broke."""
        return dict(zip(self.rejected["_row"], self.rejected["_reason"], strict=True))

    @property
    def kept_of(self) -> dict[int, int]:
        """Row to the row of which it is a duplicate."""
        return dict(zip(self.duplicates["_row"], self.duplicates["_kept_row"], strict=True))


def configured(directory: Path, destination: str, **sections: Any) -> Config:
    """A configuration over `events.parquet` and, with [contacts], `contacts.parquet`."""
    content: dict[str, Any] = {"destination": destination, **sections}
    content["events"] = {"files": "events.parquet", **content.get("events", {})}
    if "contacts" in content:
        content["contacts"] = {"files": "contacts.parquet", **content["contacts"]}
    if destination == "pristo-events":
        content.setdefault("population", POPULATION)
    return config_from_mapping(content, directory=directory)


def prepare_in(
    directory: Path,
    destination: str,
    events: pl.DataFrame | None,
    contacts: pl.DataFrame | None = None,
    /,
    *,
    parts: int | None = None,
    at_once: int | None = None,
    name: str = "job",
    previous: Sequence[Previous] = (),
    progress: Progress | None = None,
    engine: Engine | None = None,
    **sections: Any,
) -> Prepared:
    """Write the sources (unless they lie there already), prepare the job, and read it."""
    if events is not None:
        events.write_parquet(directory / "events.parquet")
    if contacts is not None:
        contacts.write_parquet(directory / "contacts.parquet")
    into = directory / name
    into.mkdir()
    manifest = prepare(
        configured(directory, destination, **sections),
        builtin_destinations()[destination],
        into,
        now=NOW,
        parts=parts,
        at_once=at_once,
        previous=previous,
        progress=progress,
        engine=engine,
    )
    return Prepared(
        manifest,
        [bucket_with_own(into / "ready", bucket) for bucket in manifest.buckets],
        pl.read_parquet(into / "rejected.parquet"),
        pl.read_parquet(into / "duplicates.parquet"),
        into,
    )


@contextmanager
def prepared(*arguments: Any, **sections: Any) -> Iterator[Prepared]:
    """`prepare_in` a directory that is gone afterwards, for examples made by the hundred."""
    with TemporaryDirectory() as directory:
        yield prepare_in(Path(directory), *arguments, **sections)


def watch_fields(**others: Any) -> Mapping[str, Any]:
    """The fields of a small Watch job: columns `phone` and `label`."""
    return {
        "target.value": "phone",
        "label": "label",
        "confidence": {"value": "high"},
        **others,
    }


def bucket_with_own(directory: Path, bucket: Bucket) -> pl.DataFrame:
    """A bucket's records with their own columns, wherever these lie under `directory`."""
    ready = pl.read_parquet(directory / bucket.file)
    if not bucket.own:
        return ready
    rows = pl.read_parquet([directory / name for name in bucket.own], hive_partitioning=False)
    own = [
        flattened(name, dtype).alias(f"source.{name}")
        for name, dtype in rows.schema.items()
        if name not in ("__file", "__row", "__raw", "__cause")
    ]
    place = (pl.col("__file").alias("file"), pl.col("__row").alias("row"))
    return ready.join(
        rows.select(*place, *own), on=["file", "row"], how="left", maintain_order="left"
    )


def without_own_files(manifest: Manifest) -> Manifest:
    """A manifest that does not say where the own columns lie, which depends on how it was made."""
    buckets = tuple(bucket.model_copy(update={"own": ()}) for bucket in manifest.buckets)
    return manifest.model_copy(update={"buckets": buckets})
