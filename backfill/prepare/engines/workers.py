"""What happens on a worker: it says what it is and what it sees, and runs tasks.

Two workers must take the same key for the same part, and Polars promises the same hash only of
one version on one kind of machine. So each one shows its versions and the hashes of a few values
before anything is split, and again with each task, as a worker may come late.
"""

from __future__ import annotations

import hashlib
import pickle
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import polars as pl

from backfill.core.errors import BackfillError, ConfigError

__all__ = [
    "ClusterError",
    "Sight",
    "Versions",
    "machine_name",
    "run_task",
    "seen",
    "sights",
    "versions",
]

_PROBE = ["", "a", "+12025550100", "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42", "é" * 40, None]


class ClusterError(BackfillError):
    """The cluster cannot do what it is asked: it is gone, or its workers are not alike."""


@dataclass(frozen=True)
class Versions:
    """What two processes must have in common to split one source between them."""

    backfill: str
    polars: str
    polars_hash: str
    hashes: str

    def difference(self, other: Versions) -> str | None:
        """What is not the same, in words: theirs, and ours in brackets."""
        for name in ("backfill", "polars", "polars_hash"):
            theirs, ours = getattr(other, name), getattr(self, name)
            if theirs != ours:
                return f"{name.replace('_', '-')} {theirs} (here {ours})"
        if other.hashes != self.hashes:
            return f"the same Polars {other.polars}, but other hashes of the same values"
        return None


@dataclass(frozen=True)
class Sight:
    """A file as a process sees it: its size in bytes and its time of change in nanoseconds."""

    size: int
    mtime_ns: int


@lru_cache(maxsize=1)
def versions() -> Versions:
    """Those of this process."""
    frame = pl.DataFrame({"text": pl.Series(_PROBE, dtype=pl.String), "number": range(len(_PROBE))})
    hashed = frame.select(
        *(pl.all().hash(seed).name.suffix(str(seed)) for seed in (0, 1, 0x5EED, 0x1A4E))
    )
    content = "\n".join(map(repr, hashed.rows()))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Versions(version("backfill"), pl.__version__, version("polars-hash"), digest)


def seen(path: str) -> Sight | None:
    """What this process sees of a file; None where it sees none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return Sight(found.st_size, found.st_mtime_ns)


def sights(paths: Sequence[str]) -> Mapping[str, Sight | None]:
    """What this process sees of files."""
    return {path: seen(path) for path in paths}


def machine_name() -> str:
    """The name of this machine, as messages give it."""
    return socket.gethostname()


def run_task(expected: Versions, content: bytes) -> object:
    """Run a pickled task on its pickled item. Raises ClusterError on a worker of another kind."""
    difference = expected.difference(versions())
    if difference is not None:
        raise ClusterError(
            f"a worker on {machine_name()} has {difference}",
            hint="Install the same versions on every worker and plan again.",
        )
    task, item = pickle.loads(content)  # noqa: S301 - from the client, as all that Dask runs
    try:
        return task(item)
    except pl.exceptions.PanicException as error:  # it cannot be pickled
        raise pl.exceptions.ComputeError(str(error)) from None
    except FileNotFoundError as error:
        raise ConfigError(
            f"a worker on {machine_name()} does not see it: {error.strerror}",
            where=str(error.filename),
            hint="All workers need the job's directory and the sources at the same path.",
        ) from None
