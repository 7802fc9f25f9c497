"""Working on a job: the one process that may do so, and the ledger that it writes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backfill.core.job_files import LEDGER
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.lock import locked, refuse_links
from backfill.jobs.access.shared_ledger import alone_with
from backfill.ledger import AnyLedger, Ledger

__all__ = ["working_on"]


@contextmanager
def working_on(
    directory: Path,
    work: str,
    *,
    check: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.time,
) -> Iterator[AnyLedger]:
    """The ledger of the job in `directory`, for this process alone; `work` is the command.

    `check` is called once the job is ours and before its ledger is opened, which settles what a
    process that ended left in flight. `clock` gives seconds since the epoch. Raises BusyError
    while another process works on the job.
    """
    place = LedgerPlace.read(directory)
    if place is not None:
        refuse_links(directory)
        check()
        with alone_with(place, directory, clock) as shared:
            check()
            yield shared
        return
    with locked(directory, work) as lock:
        check()
        with Ledger.open(directory / LEDGER, clock=clock) as ledger:
            lock.enter_ledger()
            yield ledger
