"""How a job stands at this moment: its manifest and its ledger, read together."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backfill.core.atomic_files import free_name
from backfill.core.errors import JobError, LedgerError, StorageError
from backfill.core.model import Books, State, Stop, StopKind
from backfill.core.urls import is_here
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.store_addresses import named, typed_job
from backfill.jobs.access.pace import pace_in
from backfill.jobs.addresses import address_of_job
from backfill.jobs.audit import audit
from backfill.jobs.chain.next_rest import next_rest
from backfill.jobs.chain.rest import rest_with
from backfill.jobs.run_history import (
    AT_REST,
    is_abandoned,
    last_base_url,
    last_run,
    last_stop,
    rates,
)
from backfill.jobs.status import Phase, Status
from backfill.ledger import AnyLedger

__all__ = ["current_status"]


def current_status(
    directory: Path,
    manifest: Manifest,
    ledger: AnyLedger,
    *,
    running: bool,
    name: str,
    base_url: str,
    stop: Stop | None = None,
    audited: bool = True,
    kind: type[Status] = Status,
) -> Status:
    """The job at this moment, its books counted anew.

    `running` says that another process works on it, `name` how a command that goes on names the
    job, `base_url` where its configuration sends it, and `stop` why the run that has just ended
    did so; without it the last run's end is remembered. Not `audited`, the ledger alone is asked.
    `kind` is the class to answer with. Raises JobError where the books do not balance, and
    StorageError where the job's files cannot be reached.
    """
    if audited:
        audit(directory, manifest, ledger)
    counts, requests = ledger.counts(), ledger.requests()
    settled = {state: counts.get(state, 0) for state in AT_REST}
    books = replace(
        manifest.books,
        pending=manifest.ready - sum(settled.values()),
        **{state.value: count for state, count in settled.items()},
    )
    phase = _phase(ledger, books, running=running, sent=requests.sent > 0)
    if phase in (Phase.PLANNED, Phase.STOPPED) and stop is None:
        stop = last_stop(ledger)
    if phase is Phase.COMPLETE and stop is not None and stop.kind is StopKind.LIMIT:
        stop = None
    over = phase is Phase.ABANDONED
    rest = rest_with(directory, ledger) if over else None
    rate, pace = rates(ledger, running=running)
    started_at, ended_at = last_run(ledger)
    quiet = ledger.quiet_until()
    paused = pace_in(directory, ledger).paused
    address = address_of_job(ledger)
    elsewhere = _elsewhere(manifest, ledger, base_url)
    return kind(
        job=named(directory),
        destination=manifest.destination,
        phase=phase,
        address=address,
        rehearsal=address is not None and is_here(address),
        books=books,
        exclusions=manifest.exclusions,
        reasons=manifest.reasons,
        dropped=manifest.dropped,
        requests=requests,
        rate=rate,
        seconds_left=books.pending / pace if pace and books.pending and not over else None,
        quiet_until=quiet if quiet > time.time() else None,
        paused=paused,
        rest=None if rest is None else named(rest),
        next=_next(phase, books, directory, name, elsewhere, paused=paused)
        or _left_behind(phase, books, directory, manifest, ledger),
        stop=stop,
        started_at=started_at,
        ended_at=ended_at,
    )


def _phase(ledger: AnyLedger, books: Books, *, running: bool, sent: bool) -> Phase:
    if running:
        return Phase.RUNNING
    if is_abandoned(ledger):
        return Phase.ABANDONED
    if books.pending == 0:
        return Phase.COMPLETE
    return Phase.STOPPED if sent else Phase.PLANNED


def _elsewhere(manifest: Manifest, ledger: AnyLedger, base_url: str) -> str | None:
    """The address of the last run, or of the job that this is the rest of, where the
    configuration has another one."""
    last = last_base_url(ledger) or (manifest.rest.address if manifest.rest else None)
    return last if last != base_url else None


def _left_behind(
    phase: Phase, books: Books, directory: Path, manifest: Manifest, ledger: AnyLedger
) -> str | None:
    """The way on for what failed where another job has the rest, or had left it as unknown."""
    given_up = phase is Phase.ABANDONED and books.failed > 0
    had_left = phase is Phase.COMPLETE and manifest.rest is not None and manifest.rest.unknown > 0
    if given_up or had_left:
        with suppress(JobError, LedgerError, StorageError):  # the other job's, not of this one
            return next_rest(directory, manifest, ledger)
    return None


def _next(
    phase: Phase,
    books: Books,
    directory: Path,
    name: str,
    elsewhere: str | None,
    *,
    paused: bool,
) -> str | None:
    job = typed_job(directory)
    go_on = f"backfill pace {job} --go-on"
    if phase is Phase.RUNNING:
        return go_on if paused and books.pending else f"backfill status {job}"
    if phase is Phase.ABANDONED and not books.unknown:
        return None
    if books.pending and phase is not Phase.ABANDONED:
        run = f"backfill run {name}" + (f" --base-url {elsewhere}" if elsewhere else "")
        return f"{go_on} && {run}" if paused else run
    for state in (State.UNKNOWN, State.FAILED, State.REJECTED):
        if books.count(state):
            return f"backfill records {job} --state {state} -o {free_name(f'{state}.csv')}"
    return None
