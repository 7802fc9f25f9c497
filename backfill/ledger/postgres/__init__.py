"""The ledger in PostgreSQL, for a job that several machines deliver.

It needs the extra `backfill[postgres]` and is imported only where a job asks for it.
"""

from backfill.ledger.postgres.ledger import PostgresLedger
from backfill.ledger.postgres.turns import planning_turn

__all__ = ["PostgresLedger", "planning_turn"]
