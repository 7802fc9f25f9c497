"""What is done when a ledger is opened: compare its two entries, settle what was lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from backfill.core.errors import LedgerError
from backfill.ledger import statements as sql
from backfill.ledger.sqlite.errors import DAMAGED
from backfill.ledger.sqlite.file import LedgerFile
from backfill.ledger.totals import first_difference

__all__ = ["recount", "settle_lost", "whole"]


def whole(file: LedgerFile) -> LedgerFile:
    """The file, once its spans and intents were seen to agree with the totals beside them.

    Else it is let go. Costs one pass over all spans, 1 to 2 s for a million. Raises LedgerError.
    """
    try:
        found, noted = file.read_together(sql.FOUND, sql.NOTED)
        difference = first_difference(found, noted)
        if difference is not None:
            raise LedgerError(
                f"THE BOOKS DO NOT BALANCE: {difference}", where=str(file.path), hint=DAMAGED
            )
    except BaseException:
        file.close()
        raise
    return file


def settle_lost(file: LedgerFile, clock: Callable[[], float]) -> int:
    """Make unknown what is in flight: the process that waited for the replies is gone. Each of its
    requests counts as one that was sent.

    `clock` gives seconds since the epoch. Returns how many records.
    """
    found: int = file.read(sql.IN_FLIGHT)[0][0]
    if found:
        with file.transaction() as connection:
            connection.execute(sql.COUNT_RECOVERED, (int(clock()),))
            connection.execute(sql.RECOVER, (sql.LOST_WORDS, clock()))
            connection.execute(sql.DELETE_ALL_INTENTS)
            recount(connection)
    return found


def recount(connection: sqlite3.Connection) -> None:
    """Bring the totals in line with spans that were changed as a whole, in one transaction."""
    connection.execute(sql.CLEAR_TOTALS)
    connection.execute(sql.RECOUNT)
