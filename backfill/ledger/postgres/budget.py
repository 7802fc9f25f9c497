"""One rate, one limit and one quiet period over all deliverers of a job.

A deliverer draws some requests at a time, every quarter of a second or so, and reports with it what
became of the last ones. What is drawn is spread over a stretch of time of its own; what is not
sent within it expires.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from backfill.ledger.postgres.session import Session

__all__ = ["Allowance", "Budget", "Report"]

_STRETCH = 0.5  # seconds from now on over which requests are handed out


@dataclass(frozen=True, slots=True)
class Report:
    """What became of requests and records since the last draw."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0  # told to slow down
    failed: int = 0  # records
    given_back: int = 0  # records of the limit that were drawn and not sent


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many requests may be sent, the first at `begins`, each `spacing` after the last one.

    `begins` and `quiet_until` are moments on this process's monotonic clock; `spacing` is in
    seconds. `records` is what the run's limit leaves for these requests, None where it has none.
    With another `generation` than an earlier allowance's, that one counts no more. `stop` says
    that nothing more is to be sent: the limit, the time or the errors of the run are spent.
    """

    requests: int
    records: int | None
    begins: float
    spacing: float
    generation: int
    quiet_until: float
    stop: Literal["limit", "time", "errors"] | None


class Budget:
    """The budget of a job's ledger, by the ledger's own session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._joined = False

    def join(
        self,
        *,
        rate: float | None,
        records: int | None = None,
        failures: int | None = None,
        seconds: float | None = None,
    ) -> bool:
        """Take part in a run, and say what it may send, if nobody else is in one.

        `rate` is in requests a second, `failures` how many failed records are too few to stop.
        Returns whether this process was the first, and its word counts.
        """
        values = (rate, records, failures, seconds)
        first = self._session.rows("SELECT join_run(%s, %s, %s, %s)", values)[0][0]
        self._joined = True
        return bool(first)

    def rejoin(self) -> None:
        """Take part on a new connection, too, where this process did so before."""
        if self._joined:
            self._session.rows("SELECT pg_advisory_lock_shared(run_key())")

    def draw(self, report: Report, *, wanted: int, records_each: int = 1) -> Allowance:
        """Report, and draw at most `wanted` requests of at most `records_each` records."""
        values = (
            *(report.sent, report.accepted, report.refused, report.failed, report.given_back),
            *(wanted, records_each, _STRETCH),
        )
        ((granted, records, begins, spacing, generation, quiet, stop),) = self._session.rows(
            "SELECT * FROM draw(%s, %s, %s, %s, %s, %s, %s, %s)", values
        )
        # The database's moment lies before the answer came, so counted from here on a stretch
        # begins late, by less than the way back, and never early.
        now = time.monotonic()
        return Allowance(
            requests=granted,
            records=records,
            begins=now + float(begins),
            spacing=float(spacing),
            generation=generation,
            quiet_until=now + float(quiet),
            stop=stop,
        )

    def quiet(self, seconds: float) -> None:
        """Have nobody send for so long from now on; what was drawn is called back at once."""
        self._session.rows("SELECT hush(%s)", (seconds,))

    def set_rate(self, rate: float) -> None:
        """Change the rate of a run that is going on, in requests a second."""
        self._session.rows("SELECT set_rate(%s)", (rate,))

    @contextlib.contextmanager
    def notices(self) -> Iterator[Callable[[float], int | None]]:
        """Yield a function that waits for the next generation to be announced, so many seconds.

        It has a connection of its own, and returns None where nothing came in time.
        """
        with self._session.listening() as connection:

            def wait(seconds: float) -> int | None:
                with self._session.words():
                    for notice in connection.notifies(timeout=seconds, stop_after=1):
                        return int(notice.payload)
                return None

            yield wait
