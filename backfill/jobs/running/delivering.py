"""One run of a job, around what sends: by this process alone, or by several at the same time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from backfill.config import Config
from backfill.core.errors import BackfillError, LedgerError, OwnershipError, StorageError
from backfill.core.model import Stop, StopKind
from backfill.core.own_directories import state_directory
from backfill.core.secret import Secret
from backfill.deliver import Joined, Settings, Snapshot, StopRequest
from backfill.destination import Destination
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.storage_wait import StorageWait, reach
from backfill.jobdir.store_addresses import named
from backfill.jobs.access.pace import pace_in
from backfill.jobs.access.shared_ledger import delivering
from backfill.jobs.addresses import bind_address, release_address
from backfill.jobs.audit import audit
from backfill.jobs.chain.rest import refuse_abandoned, take_rest
from backfill.jobs.run_history import (
    check_current,
    last_run,
    record_end,
    record_pace,
    record_start,
)
from backfill.jobs.running.surroundings import Surroundings
from backfill.jobs.status import Status
from backfill.ledger import AnyLedger

__all__ = [
    "Delivered",
    "Delivery",
    "begin_run",
    "deliver_alone",
    "deliver_with_others",
    "ending",
    "fault",
    "note_end",
    "note_start",
    "seconds_since_start",
    "status_at_end",
]

log = logging.getLogger("backfill.jobs.job")


class Delivered(Protocol):
    """The job that a run delivers."""

    directory: Path
    manifest: Manifest
    config: Config | None
    surroundings: Surroundings

    @property
    def destination(self) -> Destination: ...

    def status_in(
        self,
        ledger: AnyLedger,
        *,
        running: bool,
        stop: Stop | None = None,
        audited: bool = True,
    ) -> Status: ...


@dataclass(frozen=True)
class Delivery:
    """One run of a job: how it is set, and who stops and observes it.

    `credential` is None where others deliver, each with its own.
    """

    job: Delivered
    settings: Settings
    credential: Secret | None
    halt: StopRequest
    observe: Callable[[Snapshot], None]


async def deliver_alone(run: Delivery, ledger: AnyLedger) -> Status:
    """Deliver what is pending, by the one process that holds the job."""
    job = run.job
    first = begin_run(run, ledger)
    if run.settings.guarantee == "at-least-once":
        ledger.resend_lost()
    note_start(run, ledger)
    started = time.monotonic()
    storage = StorageWait(named(job.directory))
    stop, wrong = await _outcome(run, ledger, storage)
    with ending(wrong):
        note_end(ledger, time.monotonic() - started, stop, first=first)
    return status_at_end(job, ledger, running=False, stop=stop, lost=storage.lost)


async def deliver_with_others(run: Delivery, place: LedgerPlace) -> Status:
    """Deliver buckets that nobody else has, until none is left; others may do so anywhere.

    A process that lost a bucket, because it was not heard of in time, begins anew, and waits for
    the database as a run does. Raises LedgerError where it may not begin anew: when nobody else is
    left to say how much was sent by now.
    """
    again = False
    while True:
        try:
            return await _deliver_with_others(run, place, again=again)
        except OwnershipError as error:
            log.warning("%s", error.message)
            again = True


async def _deliver_with_others(run: Delivery, place: LedgerPlace, *, again: bool) -> Status:
    from backfill.deliver import join  # noqa: PLC0415 - looking needs none of it

    job, storage = run.job, StorageWait(named(run.job.directory))
    if again:  # what it is compared with below may be away by now
        with run.halt.attached(lambda _: storage.stop()):
            there = partial(reach, job.directory)
            await anyio.to_thread.run_sync(storage.until_there, there)
    timeout, clock = run.settings.timeout, job.surroundings.wall
    opened = delivering(place, job.config, timeout=timeout, clock=clock, waits=again)
    # Whoever stops a machine soon kills what has not ended.
    with opened as ledger, run.halt.attached(lambda _: ledger.hurry()):
        joined = join(ledger, run.settings)
        check_current(job.directory, job.manifest)
        if again and joined.first and (run.settings.limit or run.settings.max_duration):
            raise LedgerError(
                "this process was not heard of for a while, and the run has ended meanwhile",
                where=named(job.directory),
                hint="How much of its limit is left nobody knows. Run the same command again.",
            )
        first = begin_run(run, ledger)
        if joined.first:
            note_start(run, ledger)
        stop, wrong = await _outcome(run, ledger, storage, joined)
        with ending(wrong):
            last = ledger.budget.leave()
            if last:
                note_end(ledger, seconds_since_start(ledger), stop, first=first)
        pending = job.manifest.ready - sum(ledger.counts().values())
        # A stop is one for all: the others finish what is in flight, and then the run is over.
        running = pending > 0 and not last and stop is None
        return status_at_end(job, ledger, running=running, stop=stop, lost=storage.lost)


def status_at_end(
    job: Delivered, ledger: AnyLedger, *, running: bool, stop: Stop | None, lost: bool = False
) -> Status:
    """How the job stands as its run ends; what holds its files may be away, or `lost` already."""
    try:
        return job.status_in(ledger, running=running, stop=stop, audited=not lost)
    except StorageError as error:
        log.warning("%s", error)
        return job.status_in(ledger, running=running, stop=stop, audited=False)


def begin_run(run: Delivery, ledger: AnyLedger) -> bool:
    """What must hold before anything is sent. Returns whether the job had no address yet."""
    job = run.job
    refuse_abandoned(job.directory, ledger)
    first = bind_address(job.directory, job.manifest, ledger, run.settings.base_url)
    audit(job.directory, job.manifest, ledger)
    if first:
        take_rest(job.directory, job.manifest)
    log.info("%s: sending to %s", job.directory, run.settings.base_url)
    return first


def note_start(run: Delivery, ledger: AnyLedger) -> None:
    """Note in the ledger how a run begins, for those who look at the job."""
    record_start(ledger, run.settings.base_url)
    record_pace(ledger, run.settings, pace_in(run.job.directory, ledger))


def note_end(ledger: AnyLedger, seconds: float, stop: Stop | None, *, first: bool) -> None:
    """Note that a run of so many seconds ended; `first` is what `begin_run` returned."""
    record_end(ledger, seconds, stop)
    if first:
        release_address(ledger)


def fault(error: BackfillError) -> Stop:
    """What remains of an error that ended a run, for those who look at the job later."""
    words = f"{error.where}: {error.message}" if error.where else error.message
    return Stop(StopKind.FAULT, words, code=error.exit_code)


@contextmanager
def ending(wrong: BackfillError | None) -> Iterator[None]:
    """Raise `wrong` once the end of its run is noted, or cannot be."""
    try:
        yield
    except LedgerError:
        if wrong is None:
            raise
    if wrong is not None:
        raise wrong


def seconds_since_start(ledger: AnyLedger) -> float:
    """How long the run takes by now, whoever has begun it."""
    now = ledger.moment()
    return max(0.0, now - (last_run(ledger)[0] or now))


async def _outcome(
    run: Delivery, ledger: AnyLedger, storage: StorageWait, joined: Joined | None = None
) -> tuple[Stop | None, BackfillError | None]:
    """Why a delivery ended, and the error where it was one that the ledger can be told."""
    try:
        return await _deliver(run, ledger, storage, joined), None
    except LedgerError:
        raise
    except BackfillError as error:
        return fault(error), error


async def _deliver(
    run: Delivery, ledger: AnyLedger, storage: StorageWait, joined: Joined | None
) -> Stop | None:
    from backfill.deliver import deliver  # noqa: PLC0415 - looking needs none

    job, around = run.job, run.job.surroundings
    assert run.credential is not None  # noqa: S101 - this process sends
    return await deliver(
        manifest=job.manifest,
        directory=job.directory,
        ledger=ledger,
        destination=job.destination,
        credential=run.credential,
        settings=run.settings,
        halt=run.halt,
        observe=run.observe,
        pace=partial(pace_in, job.directory, ledger),
        transport=around.transport,
        rng=around.rng,
        wall=around.wall,
        state=state_directory() if around.shared else None,
        joined=joined,
        storage=storage,
    )
