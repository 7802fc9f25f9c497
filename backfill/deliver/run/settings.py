"""How one run delivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from backfill.jobdir.pace_file import PaceSetting

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How one run delivers. Rates are in requests a second, times in seconds.

    `rate` None finds the rate. `max_errors_*` count failed records; either may be None. `limit`
    is the number of records, and `max_duration` the time, after which this run stops.
    `only` maps fields of the body to values: records that have none of them stay pending.
    `pace` is what had been said beside runs when these settings were made: a rate and a
    concurrency are in them already, and what is said from then on changes the run.
    """

    base_url: str
    rate: float | None = None
    concurrency: int = 64
    guarantee: Literal["at-most-once", "at-least-once"] = "at-most-once"
    max_errors_count: int | None = None
    max_errors_fraction: float | None = None
    timeout: float = 30.0
    max_wait: float = 600.0
    patience: float = 30.0
    limit: int | None = None
    max_duration: float | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pace: PaceSetting = field(default_factory=PaceSetting)
