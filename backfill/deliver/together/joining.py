"""Joining a run that others may be in: what it may send, and what holds for this process then."""

from __future__ import annotations

from dataclasses import dataclass, replace

from backfill.deliver.pacing.health import DOWN_AFTER
from backfill.deliver.run.error_budget import FAIR_SAMPLE
from backfill.deliver.run.settings import Settings
from backfill.ledger.protocol import SharedLedger
from backfill.ledger.sharing import Terms

__all__ = ["Joined", "join"]


@dataclass(frozen=True, slots=True)
class Joined:
    """A run that this process is part of. `first` says that nobody else was."""

    ledger: SharedLedger
    terms: Terms
    first: bool

    def settings(self, own: Settings) -> Settings:
        """This process's settings, with what holds for all."""
        terms = self.terms
        return replace(own, rate=terms.rate, limit=terms.limit, max_duration=terms.seconds)


def join(ledger: SharedLedger, settings: Settings, *, sends: bool = True) -> Joined:
    """Take part in the run that goes on, or begin one with these settings. Raises LedgerError.

    One that does not send keeps the run going for others, as one run with one limit.
    """
    first, terms = ledger.budget.join(
        Terms(
            rate=settings.rate,
            limit=settings.limit,
            seconds=settings.max_duration,
            max_errors=settings.max_errors_count,
            max_share=settings.max_errors_fraction,
            fair_sample=FAIR_SAMPLE,
            most_ambiguous=DOWN_AFTER,
        ),
        sends=sends,
    )
    return Joined(ledger, terms, first)
