"""How fast a job is to go, said beside a run: for the one that goes on, and those after it.

The file is replaced whole and needs no lock, so it can be written while a run holds the job.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from backfill.config.values import parse_rate
from backfill.core.atomic_files import put_in_place, sync
from backfill.core.errors import BackfillError, JobError
from backfill.core.job_files import PACE
from backfill.jobdir.storage_wait import is_away, storage_error

__all__ = ["PaceSetting", "as_written", "read_pace", "write_pace"]


@dataclass(frozen=True, slots=True)
class PaceSetting:
    """What was said. None leaves the configuration's word; `rate` is as a person writes it.

    How many times a thing was said tells the same once more from nothing: a run that was told
    a rate of its own goes by the one that is said then.
    """

    rate: str | None = None  # "50/s", "3000/min" or "auto"
    concurrency: int | None = None  # requests in flight at most
    paused: bool = False
    rate_said: int = 0  # times
    concurrency_said: int = 0

    @property
    def per_second(self) -> float | None:
        """The rate in requests a second; None where it is to be found, or nothing was said."""
        rate = parse_rate(self.rate)
        return None if rate is None else rate.per_second

    def rate_or(self, own: float | None) -> float | None:
        """The rate to go at: what was said, and where nothing was, a run's own."""
        return self.per_second if self.rate else own


def as_written(rate: str | float) -> str:
    """A rate as a person writes it, also where it came as a number of requests a second."""
    return rate if isinstance(rate, str) else str(parse_rate(rate))


def read_pace(directory: Path) -> PaceSetting:
    """What was said last for the job in `directory`.

    Raises JobError for a damaged file, and StorageError where the directory is not there.
    """
    path = directory / PACE
    try:
        content = json.loads(path.read_bytes())
        found = PaceSetting(
            content["rate"],
            content["concurrency"],
            content["paused"],
            content.get("rate_said", 0),
            content.get("concurrency_said", 0),
        )
        parse_rate(found.rate)
    except FileNotFoundError as error:
        if is_away(directory, error):
            raise storage_error(directory, error) from error
        return PaceSetting()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"the pace cannot be read: {error}",
            where=str(path),
            hint="Say it again with `backfill pace`.",
        ) from error
    return found


def write_pace(directory: Path, pace: PaceSetting) -> None:
    """Write it durably, for its owner alone. Raises BackfillError where that is not possible."""
    try:
        with put_in_place(directory / PACE) as draft:
            draft.touch(mode=0o600)
            draft.write_text(json.dumps(asdict(pace)), encoding="utf-8")
            sync(draft)
        sync(directory)
    except OSError as error:
        raise BackfillError(
            f"the pace cannot be written: {error.strerror or error}",
            where=str(directory / PACE),
            hint="Check the free space and the permissions; the pace is as it was.",
        ) from error
