"""Real processes of Dask's: a scheduler and workers that tests may kill.

They are forked: what a worker imports takes it three seconds of a processor.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.forked.program import Program

__all__ = ["Cluster", "cluster_in"]


@dataclass
class Cluster:
    """A scheduler at an address, and its workers."""

    directory: Path
    address: str
    scheduler: Program
    stack: ExitStack
    options: Sequence[str] = ()  # of every worker
    workers: list[Program] = field(default_factory=list)

    def join(self, *options: str, **environment: str) -> Program:
        """Start one more worker, with this in its environment."""
        arguments = [
            *("worker", "--scheduler-file", str(self.directory / "scheduler.json")),
            *("--no-dashboard", "--nthreads", "1", "--no-nanny"),
            *("--local-directory", str(self.directory), *self.options, *options),
        ]
        self.workers.append(_started(self.stack, self.directory, arguments, environment))
        return self.workers[-1]


@contextmanager
def cluster_in(
    directory: Path,
    *,
    workers: int = 2,
    preload: Path | None = None,
    options: Sequence[str] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Cluster]:
    """Start a scheduler and workers with these options and this in their environment; with
    `preload` one more worker, which runs that file first.
    """
    found = directory / "scheduler.json"
    with ExitStack() as stack:
        arguments = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(found)]
        scheduler = _started(stack, directory, ["scheduler", *arguments, "--no-dashboard"], {})
        cluster = Cluster(directory, "", scheduler, stack, options)
        for _ in range(workers):
            cluster.join(**environment)
        if preload is not None:
            cluster.join("--preload", str(preload), **environment)
        cluster.address = _address(found)
        yield cluster


def _started(
    stack: ExitStack, directory: Path, arguments: list[str], environment: Mapping[str, str]
) -> Program:
    with Path(os.devnull).open("rb") as nothing, (directory / "log").open("ab") as log:
        process = Program(
            *arguments,
            module="dask",
            directory=Path.cwd(),
            environment={**os.environ, **environment},
            streams=[nothing.fileno(), log.fileno(), log.fileno()],
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
