"""The ledger: what is known about every record of a job, durably.

`Ledger` lies in one SQLite file, and `postgres.PostgresLedger` in a database that several machines
share; what the rest of the program asks of either is `AnyLedger`.
"""

from backfill.ledger.protocol import AnyLedger
from backfill.ledger.sqlite.ledger import Ledger

__all__ = ["AnyLedger", "Ledger"]
