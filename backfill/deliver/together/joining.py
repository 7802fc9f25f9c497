"""Joining a run that others may be in: what it may send, and what holds for this process then."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from backfill.core.errors import BackfillError, BusyError, ChangedError
from backfill.core.urls import address_of
from backfill.deliver.pacing.health import DOWN_AFTER
from backfill.deliver.run.error_budget import FAIR_SAMPLE
from backfill.deliver.run.settings import Settings
from backfill.ledger.protocol import SharedLedger
from backfill.ledger.sharing import Terms

__all__ = ["Joined", "join"]

log = logging.getLogger("backfill.deliver")


@dataclass(frozen=True, slots=True)
class Joined:
    """A run that this process is part of. `first` says that nobody else was."""

    ledger: SharedLedger
    terms: Terms
    first: bool

    def settings(self, own: Settings) -> Settings:
        """This process's settings, with what holds for all."""
        terms = self.terms
        rate = terms.rate
        if own.pace.rate_said != terms.rate_said:  # since the run began, which its others heard
            rate = own.pace.rate_or(own.rate)
        return replace(own, rate=rate, limit=terms.limit, max_duration=terms.seconds)


def join(ledger: SharedLedger, settings: Settings, *, sends: bool = True) -> Joined:
    """Take part in the run that goes on, or begin one with these settings.

    One that does not send keeps the run going for others, as one run with one limit. Raises
    LedgerError, ChangedError where the run that goes on sends elsewhere, and BusyError where it
    would not keep to a limit or a max_duration of these settings: it has said what all may send.
    """
    own = Terms(
        rate=settings.rate,
        limit=settings.limit,
        seconds=settings.max_duration,
        max_errors=settings.max_errors_count,
        max_share=settings.max_errors_fraction,
        fair_sample=FAIR_SAMPLE,
        most_ambiguous=DOWN_AFTER,
        rate_said=settings.pace.rate_said,
        address=address_of(settings.base_url),
    )
    first, terms = ledger.budget.join(own, sends=sends)
    refusal = _refusal(own, terms)
    if refusal is not None:
        ledger.budget.leave()
        raise refusal
    if (own.max_errors, own.max_share) != (terms.max_errors, terms.max_share):
        log.warning("max_errors is that of the run that goes on")
    return Joined(ledger, terms, first)


def _refusal(own: Terms, terms: Terms) -> BackfillError | None:
    """Why these terms cannot hold beside a run that has others, None where they can."""
    # Also between two of this machine: the books could not tell which has a record.
    if own.address != terms.address:
        return ChangedError(
            f"a run goes on that sends to {terms.address}, and this one would send to"
            f" {own.address}",
            where="base_url",
            hint="Nothing was sent from here. Send there as well, or stop that run first.",
        )
    for name, wanted, held, unit in (
        ("limit", own.limit, terms.limit, "records"),
        ("max_duration", own.seconds, terms.seconds, "s"),
    ):
        if wanted is not None and wanted != held:
            its = f"no {name}" if held is None else f"a {name} of {held:,} {unit}"
            return BusyError(
                f"a run goes on that has {its}, and {wanted:,} {unit} would not hold beside it",
                where=name,
                hint="Nothing was sent from here. To take part in that run, leave it out; to keep"
                " to it, stop that run first.",
            )
    return None
