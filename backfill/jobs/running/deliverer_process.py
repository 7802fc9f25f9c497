"""What a worker of a cluster does for a run: it starts a deliverer, and tells how that one ended.

The deliverer is a process of its own, an ordinary `backfill run`: signals reach it, its words go
to the worker's standard error, and the credential comes from the worker's own environment. It ends
in order with the worker, however that one ends, as its standard input closes then.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backfill.core.errors import BackfillError, BusyError, ChangedError, ConfigError, JobError
from backfill.core.model import Stop, StopKind
from backfill.destinations import destination
from backfill.jobdir.copies import refresh
from backfill.jobdir.job_paths import named_place
from backfill.jobdir.manifest import Manifest, fingerprint
from backfill.jobs.readonly import look
from backfill.jobs.running.credentials import credential_for

__all__ = ["Ended", "Order", "Readiness", "deliver", "halt", "readiness"]

_PROGRAM = "backfill.cli.deliverer"
_ERRORS = {each.exit_code: each for each in (BackfillError, ConfigError, ChangedError, BusyError)}


@dataclass(frozen=True)
class Order:
    """One run of a job, by its `number`, and what `backfill run` is told on each worker."""

    number: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How a deliverer ended: its exit code, why it stopped, or what was wrong."""

    code: int
    stop: Stop | None = None
    error: Mapping[str, str | None] | None = None

    @classmethod
    def read(cls, code: int, out: bytes) -> Ended:
        """From the object that the command printed."""
        try:
            said: dict[str, Any] = json.loads(out)
        except ValueError:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            return cls(code, error={"message": f"its deliverer {how} and said nothing"})
        if "error" in said:
            return cls(code, error=said["error"])
        stop = said["stop"]
        if stop is not None:
            answers = tuple((each["words"], each["requests"]) for each in stop["answers"])
            kind = StopKind(stop["kind"])
            own = code if kind is StopKind.FAULT else None
            stop = Stop(kind, stop["message"], stop["come_back_at"], answers, own)
        return cls(code, stop)

    def as_error(self) -> BackfillError | None:
        """What was wrong, as the deliverer itself would raise it."""
        if self.error is None:
            return None
        kind = _ERRORS.get(self.code, BackfillError)
        parts = {name: self.error.get(name) for name in ("where", "hint")}
        return kind(self.error["message"] or "it gave no reason", **parts)


@dataclass(frozen=True)
class Readiness:
    """Why a worker cannot deliver a job, None where it can; `credential` says that only that is
    missing."""

    refusal: str | None = None
    credential: bool = False


@dataclass
class _Runs:
    """The deliverers of this process, by their run; and the runs that were halted."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    processes: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)
    halted: set[str] = field(default_factory=set)


_runs = _Runs()


async def readiness(job: str, planned: str) -> Readiness:
    """Whether this worker can deliver the job of this name, whose manifest has this fingerprint.

    It may be asked while the worker is at work.
    """
    return await asyncio.to_thread(_readiness, job, planned)


def _readiness(job: str, planned: str) -> Readiness:
    directory = named_place(job)
    try:
        refresh(directory)
        manifest = Manifest.read(directory)
        if fingerprint(manifest) != planned:
            raise JobError(
                "there is another job under this name",
                where=job,
                hint="The storage must be shared: the same files at the same path everywhere.",
            )
        with look(directory):
            pass
        needs = destination(manifest.destination)
    except BackfillError as error:
        return Readiness(str(error))
    try:
        credential_for(needs)
    except ConfigError as error:
        return Readiness(str(error), credential=True)
    return Readiness()


def deliver(order: Order) -> Ended:
    """Start a deliverer and wait for its end. It finishes what is in flight where it is halted."""
    with _runs.lock:
        if order.number in _runs.halted:
            return Ended(0)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", _PROGRAM, "run", *order.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C at the worker's terminal is the worker's
        )
        _runs.processes.setdefault(order.number, []).append(process)
    with process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        out = process.stdout.read()
        code = process.wait()
    with _runs.lock:
        _runs.processes[order.number].remove(process)
    return Ended.read(code, out)


def halt(order: Order) -> None:
    """Have this worker's deliverers of a run finish what is in flight, and start no more of it."""
    with _runs.lock:
        if order.number in _runs.halted:
            return  # a second signal would not wait
        _runs.halted.add(order.number)
        for process in _runs.processes.get(order.number, ()):
            process.send_signal(signal.SIGINT)
