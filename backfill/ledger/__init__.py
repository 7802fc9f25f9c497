"""The ledger: what is known about every record of a job, durably, in one SQLite file."""

from backfill.ledger.ledger import Ledger

__all__ = ["Ledger"]
