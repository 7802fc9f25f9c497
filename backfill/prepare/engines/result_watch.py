"""Waiting for the results of tasks on a cluster, and saying why none come."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future as Answer
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Protocol, TypeVar

from backfill.prepare.engines.workers import ClusterError

__all__ = ["ResultWatch", "gone"]

_LOOK = 1.0  # seconds without a result until somebody looks why

EndedT = TypeVar("EndedT")


class Connection(Protocol):
    """What is asked of a connection to a scheduler."""

    @property
    def status(self) -> str: ...

    def scheduler_info(self) -> Mapping[str, Any]: ...


class ResultWatch:
    """Waits for results, and says why none come.

    `name` is the scheduler's. After `silence` seconds without a word of it or of a worker that is
    said, and after `lost` seconds without any worker ClusterError is raised.
    """

    def __init__(self, client: Connection, name: str, silence: float, lost: float) -> None:
        self._client = client
        self._name = name
        self._silence = silence
        self._lost = lost
        # A thread of its own asks, as a scheduler that is stopped never answers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backfill-workers")
        self._answer: Answer[Mapping[str, Any]] | None = None
        self._asked = 0.0
        self._without: float | None = None
        self._heard: dict[str, tuple[float, float]] = {}  # what it last said when, and since when

    def __enter__(self) -> ResultWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def next(
        self, ended: queue.SimpleQueue[EndedT], waiting: Callable[[str | None], None]
    ) -> EndedT:
        """The next future that ended. Raises ClusterError where none ever will."""
        said: str | None = None
        while True:
            try:
                future = ended.get(timeout=_LOOK)
            except queue.Empty:
                trouble = self._trouble()
                if trouble != said:
                    waiting(trouble)
                    said = trouble
                continue
            if said is not None:
                waiting(None)
            return future

    def _trouble(self) -> str | None:
        """Why nothing comes, in words, where it is not that tasks take their time."""
        if self._client.status != "running":
            raise gone(self._name)
        now = time.monotonic()
        if self._answer is None:
            self._asked = now
            self._answer = self._thread.submit(self._client.scheduler_info)
        try:
            answer = self._answer.result(_LOOK)
        except NotYet:
            late = now - self._asked > self._silence
            return f"the scheduler {self._name} does not answer" if late else None
        self._answer = None
        workers: Mapping[str, Any] = answer["workers"]
        if len(workers) < answer["n_workers"]:
            return None  # Dask's own look, which leaves them out, came in between
        if not workers:
            self._without = self._without or now
            if now - self._without > self._lost:
                raise ClusterError(
                    f"no worker is left at {self._name}",
                    hint="Start workers and plan again; nothing was sent.",
                )
            return "no worker is left"
        self._without = None
        for worker, each in workers.items():
            if self._heard.get(worker, (None, 0.0))[0] != each["last_seen"]:
                self._heard[worker] = (each["last_seen"], now)
        silent = [worker for worker in workers if now - self._heard[worker][1] > self._silence]
        return f"the worker {silent[0]} does not answer" if silent else None


def gone(name: str) -> ClusterError:
    """What is to be said once a scheduler has ended."""
    return ClusterError(
        f"the scheduler {name} is gone, and with it what the workers were doing",
        hint="Start it again and plan anew; nothing was sent, and no job was made.",
    )
