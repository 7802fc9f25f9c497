"""Real processes of Dask's: a scheduler and workers that tests may kill."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Cluster", "cluster_in"]


@dataclass
class Cluster:
    """A scheduler at an address, and its workers."""

    directory: Path
    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)


@contextmanager
def cluster_in(
    directory: Path, *, workers: int = 2, preload: Path | None = None
) -> Iterator[Cluster]:
    """Start a scheduler and workers; with `preload` one more worker, which runs that file first."""
    found = directory / "scheduler.json"
    common = ["--scheduler-file", str(found), "--no-dashboard"]
    with ExitStack() as stack:
        scheduler = _started(
            stack, directory, ["scheduler", "--host", "127.0.0.1", "--port", "0", *common]
        )
        extra = ["--nthreads", "1", "--no-nanny", "--local-directory", str(directory)]
        extras = [extra] * workers
        if preload is not None:
            extras.append([*extra, "--preload", str(preload)])
        processes = [_started(stack, directory, ["worker", *common, *each]) for each in extras]
        yield Cluster(directory, _address(found), scheduler, processes)


def _started(stack: ExitStack, directory: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], stdout=log, stderr=log
        )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _address(found: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return str(json.loads(found.read_text())["address"])
        except (OSError, ValueError):
            time.sleep(0.02)
    raise TimeoutError((found.parent / "log").read_text())
