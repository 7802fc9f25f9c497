"""Whether anything of a job ever reached a server."""

from __future__ import annotations

from backfill.ledger import AnyLedger

__all__ = ["REACHED", "was_sent"]

REACHED = "reached"
"""The fact in a ledger that a request of the job ever reached a server."""


def was_sent(ledger: AnyLedger) -> bool:
    """Whether a record of the job may be at a server, as far as its ledger knows."""
    settled = any(ledger.counts().values()) or ledger.in_flight() > 0
    return settled or ledger.get_meta(REACHED) is not None
