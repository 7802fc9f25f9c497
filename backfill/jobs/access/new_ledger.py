"""The ledger of a job that is being planned: a file in its draft, or one in a database."""

from __future__ import annotations

from pathlib import Path

from backfill.config import Config
from backfill.core.errors import BackfillError
from backfill.core.job_files import LEDGER
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobs.access.shared_ledger import make_ledger, place_for
from backfill.ledger import AnyLedger, Ledger

__all__ = ["made_in_vain", "new_ledger"]


def new_ledger(draft: Path, directory: Path, config: Config) -> AnyLedger:
    """Make the ledger of a new job: a file in its draft, or in a database that the draft names."""
    place = place_for(config)
    if place is None:
        return Ledger.open(draft / LEDGER, create=True)
    place.write(draft)
    return make_ledger(place, directory)


def made_in_vain(draft: Path, directory: Path) -> LedgerPlace | None:
    """The ledger in a database that a plan has made and no job has."""
    try:
        made, used = LedgerPlace.read(draft), LedgerPlace.read(directory)
    except BackfillError:
        return None
    return None if made is None or made == used else made
