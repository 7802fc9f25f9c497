"""How fast a job is to go, as somebody said: beside its other files, or in the ledger it shares."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from backfill.core.errors import JobError
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.pace_file import PaceSetting, read_pace, write_pace
from backfill.jobs.access.shared_ledger import beside
from backfill.ledger import AnyLedger, Ledger

__all__ = ["known_pace", "pace_in", "say_pace"]

_PACE = "pace"


def known_pace(directory: Path) -> PaceSetting:
    """What was said last for the job in `directory`. Raises JobError, or LedgerError."""
    place = LedgerPlace.read(directory)
    if place is None:
        return read_pace(directory)
    with beside(place) as ledger:
        return pace_in(directory, ledger)


def pace_in(directory: Path, ledger: AnyLedger) -> PaceSetting:
    """The same, where the ledger is open already."""
    if isinstance(ledger, Ledger):
        return read_pace(directory)
    text = ledger.get_meta(_PACE)
    try:
        return PaceSetting(**json.loads(text)) if text else PaceSetting()
    except (ValueError, TypeError) as error:
        raise JobError(
            f"the pace cannot be read: {error}",
            where=ledger.where,
            hint="Say it again with `backfill pace`.",
        ) from error


def say_pace(directory: Path, pace: PaceSetting) -> None:
    """Keep it durably, for runs on any machine. Raises BackfillError where that cannot be."""
    place = LedgerPlace.read(directory)
    if place is None:
        write_pace(directory, pace)
        return
    with beside(place) as ledger:
        ledger.set_meta(_PACE, json.dumps(asdict(pace)))
