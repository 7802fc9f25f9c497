"""What earlier jobs delivered, so that this one leaves it out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from backfill.config import Config
from backfill.core.errors import ConfigError
from backfill.jobdir.manifest import Manifest
from backfill.prepare.mapping.binding import Binding

__all__ = ["Delivered", "delivered_earlier", "job_of"]

Delivered = Callable[[Path], pl.LazyFrame]
"""Reads what the job in a directory delivered: `record`, `file` (a name), `row`."""


def delivered_earlier(
    config: Config, binding: Binding, delivered: Delivered | None
) -> pl.LazyFrame | None:
    """The records of all earlier jobs that are named: `record` and the place they stood at.

    Raises ConfigError where a job's records are of another kind, so that their keys could
    never be the same; JobError where there is no job.
    """
    if not config.dedupe.delivered_by:
        return None
    if delivered is None:
        raise ValueError("delivered_by is set, and nothing was given to read earlier jobs with")
    parts = []
    for name in config.dedupe.delivered_by:
        directory = job_of(config.directory / name)
        _check_same_kind(Manifest.read(directory), config, binding, name)
        parts.append(
            delivered(directory).select(
                "record",
                pl.col("file").cast(pl.String).alias("_kept_file"),
                pl.col("row").cast(pl.UInt64).alias("_kept_row"),
                pl.lit(name).alias("_kept_job"),
            )
        )
    return pl.concat(parts)


def job_of(path: Path) -> Path:
    """A job may be named by its configuration file, beside which it lies."""
    return path.with_suffix(".job") if path.is_file() else path


def _check_same_kind(manifest: Manifest, config: Config, binding: Binding, name: str) -> None:
    for what, before, now in (
        ("destination", manifest.destination, binding.destination.name),
        ("population", manifest.population, config.population),
        ("identity", sorted(manifest.identity), sorted(binding.identity)),
    ):
        if before != now:
            raise ConfigError(
                f"the {what} of {name} is {before}, and here it is {now}",
                where="[dedupe] delivered_by",
                hint="Set [dedupe] key to the fields that identify a record in both."
                if what == "identity"
                else "Only a job of the same kind can have delivered the same records.",
            )
