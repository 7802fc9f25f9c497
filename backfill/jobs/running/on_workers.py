"""A run on the workers of a cluster: a deliverer on each, and this process that looks on.

The deliverers know of each other by the ledger alone. This process keeps the run going, so that it
is one run with one limit, whoever of them comes and goes; it reads from the ledger how far they
are, and says at the end what came of the whole.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import deque
from contextlib import suppress
from decimal import Decimal

from backfill.config.values import Rate
from backfill.core.errors import BackfillError
from backfill.core.model import Stop
from backfill.deliver import Snapshot, join
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.manifest import fingerprint
from backfill.jobdir.store_addresses import named, named_for_all
from backfill.jobs.access.pace import pace_in
from backfill.jobs.access.shared_ledger import delivering
from backfill.jobs.run_history import check_current
from backfill.jobs.running.deliverer_process import Order
from backfill.jobs.running.deliverers import Cluster, Deliverers
from backfill.jobs.running.delivering import (
    Delivery,
    begin_run,
    ending,
    fault,
    note_end,
    note_start,
    seconds_since_start,
    status_at_end,
)
from backfill.jobs.status import Status
from backfill.ledger.protocol import SharedLedger
from backfill.ledger.sharing import Report

__all__ = ["deliver_on_workers"]

log = logging.getLogger("backfill.jobs.on_workers")

_EVERY = 0.25  # seconds between two looks at the ledger
_RECENT = 5.0  # seconds over which the present rate is taken
_LOST = 60.0  # seconds without a deliverer after which a run ends, if others might come
_UNTIL_BEGUN = 10.0  # seconds until it is said that no deliverer has begun
_SILENT = "the cluster does not answer; what it was told to deliver goes on"
_LATE = 5.0  # seconds, and a lease, for the last deliverers to end where nothing is left


def deliver_on_workers(run: Delivery, place: LedgerPlace, cluster: Cluster) -> Status:
    """Have the workers of a cluster deliver what is pending, until that is done or they stop.

    Raises ConfigError, before anything is sent, where a worker could not deliver, and BackfillError
    where nobody is left who could.
    """
    job = run.job
    run.halt.elsewhere = True
    deliverers = Deliverers(
        cluster, _order(run), named_for_all(run.job.directory), fingerprint(job.manifest)
    )
    try:
        deliverers.begin()
        timeout, clock = run.settings.timeout, job.surroundings.wall
        with delivering(place, job.config, timeout=timeout, clock=clock) as ledger:
            joined = join(ledger, run.settings, sends=False)
            check_current(job.directory, job.manifest)
            first = begin_run(run, ledger)
            if joined.first:
                note_start(run, ledger)
            try:
                _follow(run, ledger, deliverers, place.lease)
            except BackfillError as error:
                with ending(error):
                    _leave(ledger, fault(error), first=first)
            except BaseException:
                with suppress(BackfillError):
                    ledger.budget.leave()
                raise
            ledger.recover()  # what died with its worker is settled now
            pending = _pending(run, ledger)
            stop = _stop(run, deliverers) if pending else None
            lost = _nobody_left(run, deliverers, pending) if pending and stop is None else None
            last = _leave(ledger, fault(lost) if lost else stop, first=first)
            if lost is not None and last:
                raise lost
            return status_at_end(job, ledger, running=pending > 0 and not last, stop=stop)
    finally:
        deliverers.close()


def _leave(ledger: SharedLedger, stop: Stop | None, *, first: bool) -> bool:
    """Take no part any more; whoever does so last, this process or a deliverer, notes the end."""
    last = ledger.budget.leave()
    if last:
        note_end(ledger, seconds_since_start(ledger), stop, first=first)
    return last


def _follow(run: Delivery, ledger: SharedLedger, deliverers: Deliverers, lease: float) -> None:
    """Look on until the deliverers have ended, or nobody is left."""
    course = _Course(run, ledger)
    idle_since: float | None = None
    tell_at = time.monotonic() + _UNTIL_BEGUN
    silent = False
    while True:
        deliverers.look()
        if run.halt.kind is not None:
            deliverers.halt()
            nobody_to_wait_for = run.halt.impatient or not course.others
            if nobody_to_wait_for and (deliverers.halted or deliverers.silent):
                return
        snapshot = course.look()
        run.observe(snapshot)
        active, now = deliverers.active, time.monotonic()
        if not course.others and now > tell_at:
            log.warning("no worker has begun: a deliverer needs a thread that is not busy")
        if course.others or now > tell_at:
            tell_at = math.inf
        if deliverers.over or (not active and not snapshot.pending):
            return
        idle_since = None if active and snapshot.pending else idle_since or now
        if idle_since is not None and now - idle_since > (lease + _LATE if active else _LOST):
            return
        if deliverers.silent != silent:
            silent = not silent
            log.warning(_SILENT if silent else "the cluster answers again")
        time.sleep(_EVERY)


def _stop(run: Delivery, deliverers: Deliverers) -> Stop | None:
    """Why the whole stopped before nothing was pending."""
    kind = run.halt.kind
    if kind is None:
        return deliverers.stop()
    if deliverers.active:
        return Stop(kind, f"{kind.value}; the workers were told to finish what is in flight")
    return Stop(kind, f"{kind.value}; what was in flight was finished and recorded")


def _nobody_left(run: Delivery, deliverers: Deliverers, pending: int) -> BackfillError:
    error = deliverers.error()
    if error is not None:
        return error
    return BackfillError(
        f"no worker is left, and {pending:,} records are pending",
        where=named(run.job.directory),
        hint="Start workers, and run the same command again; it goes on where the job stands.",
    )


def _pending(run: Delivery, ledger: SharedLedger) -> int:
    return run.job.manifest.ready - sum(ledger.counts().values())


class _Course:
    """How far a run is, over all who deliver it, as the ledger tells.

    `others` is how many of them there are.
    """

    def __init__(self, run: Delivery, ledger: SharedLedger) -> None:
        self._directory = run.job.directory
        self._ready = run.job.manifest.ready
        self._ledger = ledger
        self.others = 0
        self._before = ledger.requests()
        self._recent = deque([(time.monotonic(), 0)])

    def look(self) -> Snapshot:
        allowance = self._ledger.budget.draw(Report())  # which draws nothing
        self.others = allowance.others
        progress = self._ledger.progress().values()
        requests = self._ledger.requests()
        now = time.monotonic()
        self._recent.append((now, allowance.sent))
        while len(self._recent) > 2 and now - self._recent[1][0] >= _RECENT:
            self._recent.popleft()
        then, sent = self._recent[0]
        quiet = allowance.quiet_until - now
        return Snapshot(
            pending=self._ready - sum(each.settled for each in progress),
            delivered=sum(each.delivered for each in progress),
            failed=sum(each.failed for each in progress),
            unknown=sum(each.unknown for each in progress),
            sent=allowance.sent,
            throttled=requests.throttled - self._before.throttled,
            retried=requests.retried - self._before.retried,
            in_flight=sum(each.in_flight for each in progress),
            rate=(allowance.sent - sent) / (now - then) if now > then else 0.0,
            limit=allowance.rate,
            quiet_until=time.time() + quiet if quiet > 0 else 0.0,
            paused=pace_in(self._directory, self._ledger).paused,
        )


# --- what each deliverer is told -------------------------------------------------------------


def _order(run: Delivery) -> Order:
    """What its configuration says is in it already, as a worker need not have that file."""
    settings = run.settings
    found = [
        *(named_for_all(run.job.directory), "--json", "--quiet", "--yes"),
        *("--base-url", settings.base_url),
        *("--rate", "auto" if settings.rate is None else str(Rate(settings.rate))),
        *("--concurrency", str(settings.concurrency)),
        *("--guarantee", settings.guarantee),
        *("--timeout", _seconds(settings.timeout)),
        *("--max-wait", _seconds(settings.max_wait)),
        *("--patience", _seconds(settings.patience)),
    ]
    if settings.limit is not None:
        found += ["--limit", str(settings.limit)]
    if settings.max_duration is not None:
        found += ["--max-duration", _seconds(settings.max_duration)]
    for name, values in settings.only.items():
        found += [part for value in values for part in ("--only", f"{name}={value}")]
    return Order(uuid.uuid4().hex, tuple(found))


def _seconds(duration: float) -> str:
    """As the command line reads it: in digits, also where a float would be written with an `e`."""
    return f"{Decimal(repr(duration)):f}s"
