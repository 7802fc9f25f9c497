"""One delivery: the parts of a run put together, begun, and taken down again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import httpx

from backfill.core.model import Stop
from backfill.core.secret import Secret
from backfill.core.urls import check_base_url
from backfill.deliver.http.proxies import transport_for
from backfill.deliver.pacing import Health, Pacer
from backfill.deliver.pacing.budget import Budget
from backfill.deliver.pacing.shared_budget import SharedBudget
from backfill.deliver.run.ready_reader import Ready
from backfill.deliver.run.run import Run
from backfill.deliver.run.run_metrics import Meter, Snapshot
from backfill.deliver.run.selection import Selection
from backfill.deliver.run.send import Sender
from backfill.deliver.run.settings import Settings
from backfill.deliver.run.stopping import StopRequest
from backfill.deliver.together.buckets import SharedBuckets
from backfill.deliver.together.budget import JobBudget
from backfill.deliver.together.joining import Joined
from backfill.deliver.together.member import Member
from backfill.destination import Destination
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.pace_file import PaceSetting
from backfill.jobdir.storage_wait import StorageWait
from backfill.jobdir.store_addresses import named
from backfill.ledger import AnyLedger

__all__ = ["deliver"]

_LEARNED = "learned_rate"  # the fact in a ledger that the next run begins with


async def deliver(
    *,
    manifest: Manifest,
    directory: Path,
    ledger: AnyLedger,
    destination: Destination,
    credential: Secret,
    settings: Settings,
    halt: StopRequest,
    observe: Callable[[Snapshot], None] | None = None,
    pace: Callable[[], PaceSetting] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    rng: random.Random | None = None,
    wall: Callable[[], float] = time.time,
    state: Path | None = None,
    joined: Joined | None = None,
    storage: StorageWait | None = None,
) -> Stop | None:
    """Send what is pending, in order within each lane, and record what became of it.

    Returns None when nothing is pending any more, else why the run stopped. `observe` is called
    in the event loop a few times a second, and at the end. `pace` says how fast to go, and is
    asked in a thread a few times a second; what it says first is in the settings already.
    `transport` stays open when it is given; `wall` gives seconds since the epoch. Runs with the
    same `state` directory that send to one address with one credential share the rate and each
    quiet period. With `joined` others may deliver the same job at the same time. `storage` is how
    the ready files are waited for where they are away.

    Raises ConfigError for an address that a credential may not be sent to, LedgerError when the
    ledger fails, StorageError where the ready files stay away, and JobError for one of them that
    cannot be read. Whatever is raised, nothing more is sent, and what could not be recorded stays
    in flight in the ledger, which makes it unknown when it is opened again.
    """
    check_base_url(settings.base_url)
    meter = Meter(ledger.counts(), manifest.ready, clock=wall)
    if not meter.pending and joined is None:
        return None
    if joined is not None:
        settings = joined.settings(settings)
    storage = storage or StorageWait(named(directory))
    # Jitter needs no secrecy, only independence between processes.
    rng = rng or random.Random()  # noqa: S311
    finds, clock = settings.rate is None, _running_clock()
    budget = None
    if joined is not None:
        budget = JobBudget(
            joined.ledger.budget,
            joined.terms,
            batch=destination.batch_size,
            monotonic=time.monotonic,
        )
    shared: Budget | None = budget or SharedBudget.open(
        state, settings.base_url, credential, clock=clock, wall=wall, finds=finds
    )
    pacer = _pacer(settings, ledger, clock=clock, wall=wall, rng=rng, shared=shared)
    selection = None
    if settings.only:
        selection = Selection(
            settings.only,
            directory=directory,
            manifest=manifest,
            destination=destination,
            storage=storage,
        )
    member = None
    if joined is not None and budget is not None:
        budget.awake, budget.asked = pacer.look_again, pacer.asked
        budget.look(clock(), pacer.rate)
        buckets = SharedBuckets(
            manifest,
            joined.ledger,
            selection,
            resends=settings.guarantee == "at-least-once",
            crowded=lambda: pacer.crowded,
            line=budget.line,
            progressed=meter.adopt,
        )
        member = Member(joined.ledger, buckets, budget)
    if (stop := _begun(pacer, ledger)) is not None:
        return stop
    carrier = transport or transport_for(settings.base_url, timeout=settings.timeout)
    sender = Sender(
        carrier,
        destination,
        base_url=settings.base_url,
        population=manifest.population,
        credential=credential,
        timeout=settings.timeout,
    )
    run = Run(
        manifest=manifest,
        ready=Ready(directory, manifest, storage),
        ledger=ledger,
        destination=destination,
        settings=settings,
        pacer=pacer,
        sender=sender,
        meter=meter,
        rng=rng,
        selection=selection,
        company=member,
    )
    try:
        with halt.attached(run.halt):
            await run.go(observe, pace)
    finally:
        if shared is not None:
            shared.close()
        if member is not None:
            await member.leave()
        if transport is None:
            await carrier.aclose()
    if run.stop_state.error is not None:
        raise run.stop_state.error
    if pacer.learned is not None and (budget is None or budget.leads):
        ledger.set_meta(_LEARNED, repr(pacer.learned))
    stop = run.outcome()
    return stop and replace(stop, answers=meter.answers())


def _begun(pacer: Pacer, ledger: AnyLedger) -> Stop | None:
    """A Stop where there is too long a wait; what another run was asked for is kept here, too."""
    stop = pacer.begin()
    if pacer.quiet_asked_at:
        ledger.set_quiet_until(pacer.quiet_until, pacer.quiet_asked_at)
    return stop


def _running_clock() -> Callable[[], float]:
    """The event loop's own clock, in seconds; found once, because finding it costs more than
    reading it.
    """
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:  # Trio's
        return anyio.current_time


def _pacer(
    settings: Settings,
    ledger: AnyLedger,
    *,
    clock: Callable[[], float],
    wall: Callable[[], float],
    rng: random.Random,
    shared: Budget | None,
) -> Pacer:
    """Who may send when, from where the runs before this one left it."""
    learned = ledger.get_meta(_LEARNED)
    health = Health(
        concurrency=settings.concurrency,
        patience=settings.patience,
        max_wait=settings.max_wait,
    )
    return Pacer(
        settings.rate,
        health=health,
        learned=float(learned) if learned else None,
        quiet_until=ledger.quiet_until(),
        clock=clock,
        wall=wall,
        rng=rng,
        shared=shared,
    )
