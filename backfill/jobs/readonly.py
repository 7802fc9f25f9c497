"""A job's ledger as it is at one moment, for those who only look.

Nothing is locked and nothing is written in the job's directory. Beside a process that is in the
ledger, SQLite shows one moment of it. Where none is, a copy elsewhere is read, and there what a
process that died left in flight is unknown, as the next run will write it down. A ledger in a
database shows one moment in a transaction that can only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backfill.core.errors import LedgerError
from backfill.core.job_files import LEDGER
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.lock import Owner, owner_of, refuse_links
from backfill.jobs.access.shared_ledger import look_into
from backfill.ledger import AnyLedger, Ledger

__all__ = ["look"]


@contextmanager
def look(directory: Path) -> Iterator[tuple[AnyLedger, bool]]:
    """The ledger of the job in `directory`, and whether a run is going on.

    Raises LedgerError, and JobError where a link in the directory would lead elsewhere.
    """
    refuse_links(directory)
    place = LedgerPlace.read(directory)
    if place is not None:
        with look_into(place) as found:
            yield found
        return
    ledger, owner = _at_one_moment(directory / LEDGER)
    with ledger:
        yield ledger, owner is not None and owner.work == "run"


def _at_one_moment(path: Path) -> tuple[Ledger, Owner | None]:
    """Open the ledger, once more where a process came or went meanwhile."""
    while True:
        owner = owner_of(path.parent)
        try:
            in_ledger = owner is not None and owner.in_ledger
            ledger = Ledger.open_readonly(path) if in_ledger else Ledger.open_copy(path)
        except LedgerError:
            if owner_of(path.parent) == owner:
                raise
            continue
        if owner_of(path.parent) == owner:
            return ledger, owner
        ledger.close()
