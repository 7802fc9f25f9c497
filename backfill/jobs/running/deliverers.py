"""The deliverers of one run on the workers of a cluster: started, halted, and how they ended."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from backfill.core.errors import BackfillError, ConfigError
from backfill.core.model import Stop, StopKind
from backfill.jobs.running.deliverer_process import (
    Ended,
    Order,
    Readiness,
    deliver,
    halt,
    readiness,
)

__all__ = ["Cluster", "Deliverers"]

log = logging.getLogger("backfill.jobs.deliverers")

_EVERY = 1.0  # seconds between two looks at the workers
_SILENT = 15.0  # seconds without an answer of the scheduler until that is said
_PRECEDENCE = {kind: place for place, kind in enumerate(StopKind)}

ItemT = TypeVar("ItemT")


class Cluster(Protocol):
    """Where deliverers are started. Every method may raise BackfillError."""

    def workers(self) -> frozenset[str]: ...

    def ask(
        self, question: Callable[..., Any], *about: object, workers: Collection[str]
    ) -> Mapping[str, Any]: ...

    def start(
        self,
        worker: str,
        task: Callable[[ItemT], Any],
        item: ItemT,
        closing: Callable[[ItemT], None],
    ) -> Any: ...


class Deliverers:
    """One deliverer on each worker that can deliver a job, also on those that come later.

    `job` is its name, and `planned` the fingerprint of its manifest. A thread asks the cluster, as
    a scheduler that hangs never answers; the caller looks at what is known by now.
    """

    def __init__(self, cluster: Cluster, order: Order, job: str, planned: str) -> None:
        self._cluster = cluster
        self._order = order
        self._about = (job, planned)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backfill-workers")
        self._look: Future[None] | None = None
        self._looked = self._asked = time.monotonic()
        self._halting: Future[None] | None = None
        self._lost = False
        self._left_out: set[str] = set()
        self._tasks: dict[str, Any] = {}  # of workers that deliver
        self.ended: list[tuple[str, Ended]] = []

    def begin(self) -> None:
        """Look at the workers that are there, before anything is started.

        Raises ConfigError where one of them could not deliver, and where none has a credential.
        """
        workers = self._cluster.workers()
        answers = self._ask(workers)
        for worker, answer in answers.items():
            if answer.refusal is not None and not answer.credential:
                raise ConfigError(
                    f"the worker {worker} cannot deliver this job: {answer.refusal}",
                    hint="Every worker needs the same backfill, the extra `postgres`, the storage,"
                    " and the database with its password. Nothing was sent.",
                )
        without = [worker for worker, answer in answers.items() if answer.credential]
        if len(without) == len(answers):
            raise ConfigError(
                f"no worker has a credential; {without[0]}: {answers[without[0]].refusal}"
                if without
                else "there is no worker",
                hint="Credentials do not travel: set it in the environment of each worker.",
            )

    @property
    def active(self) -> frozenset[str]:
        """The workers that deliver."""
        return frozenset(self._tasks)

    @property
    def over(self) -> bool:
        """Whether nobody delivers, and nobody will who is there now."""
        if self._tasks or self._look is None or not self._look.done():
            return False
        if self._halting is not None:
            return self.halted
        # One that is gone may be started again.
        return not self._lost or self.stop() is not None

    @property
    def halted(self) -> bool:
        """Whether all of them were told to finish what is in flight."""
        return self._halting is not None and self._halting.done()

    @property
    def silent(self) -> bool:
        """Whether the cluster has been asked, and has not answered for a while."""
        asked = self._look is not None and not self._look.done()
        return asked and time.monotonic() - self._asked > _SILENT

    def look(self) -> None:
        """Take note of what has become of them, and start what is to be started. Returns at once.

        Raises BackfillError where the cluster is gone.
        """
        if self._look is not None:
            if not self._look.done():
                return
            try:
                self._look.result()
            except BackfillError as error:
                raise BackfillError(
                    error.message,
                    hint="The deliverers finish what is in flight and end, too. Start the cluster"
                    " again, and run the same command; it goes on where the job stands.",
                ) from error
        if self._look is None or time.monotonic() - self._looked > _EVERY:
            self._asked = time.monotonic()
            self._look = self._thread.submit(self._look_around)

    def halt(self) -> None:
        """Have all of them finish what is in flight. Returns at once."""
        if self._halting is None:
            self._halting = self._thread.submit(self._halt)

    def close(self) -> None:
        """Let them finish by themselves where they still deliver."""
        self.halt()
        self._thread.shutdown(wait=False)

    def stop(self) -> Stop | None:
        """Why they stopped: of several reasons the first by precedence, with the answers to all."""
        stops = [ended.stop for _, ended in self.ended if ended.stop is not None]
        first = min(stops, key=lambda stop: _PRECEDENCE[stop.kind], default=None)
        heard: Counter[str] = Counter()
        for stop in stops:
            heard.update(dict(stop.answers))
        return first and replace(first, answers=tuple(heard.most_common()))

    def error(self) -> BackfillError | None:
        """What was wrong with the first that could not deliver."""
        errors = (ended.as_error() for _, ended in self.ended)
        return next((error for error in errors if error is not None), None)

    # --- in the thread -----------------------------------------------------------------------

    def _look_around(self) -> None:
        workers = self._cluster.workers()
        for worker, task in list(self._tasks.items()):
            if task.done():
                self._note(worker, task)
            elif worker not in workers:
                task.cancel()
                self._tasks.pop(worker)
                self._lost = True
                log.warning("the worker %s is gone; the others take what it had", worker)
        done = {worker for worker, _ in self.ended}
        if self._halting is None:
            self._start(workers - self._left_out - done - self._tasks.keys())
        self._looked = time.monotonic()

    def _note(self, worker: str, task: Any) -> None:
        try:
            ended: Ended = task.result()
        except BackfillError as error:
            parts = {"message": error.message, "where": error.where, "hint": error.hint}
            ended = Ended(error.exit_code, error=parts)
        except Exception as error:  # noqa: BLE001 - whatever it was, the others go on
            ended = Ended(1, error={"message": f"{type(error).__name__}: {error}"})
        self.ended.append((worker, ended))
        self._tasks.pop(worker)
        if (wrong := ended.as_error()) is not None and self._halting is None:
            log.warning("the worker %s delivers no more: %s", worker, wrong)

    def _start(self, workers: Collection[str]) -> None:
        for worker, answer in self._ask(workers).items():
            if answer.refusal is None:
                self._tasks[worker] = self._cluster.start(worker, deliver, self._order, halt)
            else:
                self._left_out.add(worker)
                log.warning("the worker %s does not deliver: %s", worker, answer.refusal)

    def _ask(self, workers: Collection[str]) -> dict[str, Readiness]:
        answers = self._cluster.ask(readiness, *self._about, workers=workers)
        return {worker: _as_readiness(answer) for worker, answer in answers.items()}

    def _halt(self) -> None:
        try:
            self._cluster.ask(halt, self._order, workers=self._tasks)
        except BackfillError as error:
            log.debug("not halted: %s", error)


def _as_readiness(answer: object) -> Readiness:
    if isinstance(answer, Readiness):
        return answer
    # Another backfill, or none, has an exception to tell.
    return Readiness(f"it has another backfill, or none: {type(answer).__name__}: {answer}")
