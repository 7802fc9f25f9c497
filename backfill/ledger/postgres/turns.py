"""Whose turn it is to plan a job, among machines that share nothing but the database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

from backfill.core.errors import LedgerError
from backfill.ledger.postgres.session import COMMENT, NO_SCHEMA, Session

__all__ = ["planning_turn"]

_EVERY = 0.25  # seconds between two tries


@contextlib.contextmanager
def planning_turn(
    address: str, name: str, waiting: Callable[[], None]
) -> Iterator[Callable[[], object]]:
    """Be the one who plans the job of this name; a turn ends with the process or its connection.

    `waiting` is called a few times a second while another process has it. Yields a function that
    raises LedgerError where the turn was lost.
    """
    session = Session(address, NO_SCHEMA, lease=0, patience=0, writes=True)
    with contextlib.closing(session):
        session.again = partial(_refuse_anew, session.where)
        question = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
        while not session.rows(question, (COMMENT + name,))[0][0]:
            waiting()
            time.sleep(_EVERY)
        yield partial(session.rows, "SELECT 1")


def _refuse_anew(where: str) -> None:
    raise LedgerError(
        "the connection broke while the job was planned",
        where=where,
        hint="Another process may plan it now. Nothing was sent; run the same command again.",
    )
