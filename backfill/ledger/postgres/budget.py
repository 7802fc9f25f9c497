"""One rate, one limit and one quiet period over all deliverers of a job.

A deliverer draws some requests at a time, every quarter of a second or so, and reports with it what
became of the last ones. What is drawn is spread over a stretch of time of its own; what is not
sent within it expires.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

from backfill.ledger.postgres.session import Session
from backfill.ledger.sharing import Allowance, Report, Terms

__all__ = ["Budget"]

_STRETCH = 0.5  # seconds from now on over which requests are handed out


class Budget:
    """The budget of a job's ledger, by the ledger's own session; `name` is this process's."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._joined = False
        self._sends = False
        self._draws = 0

    def join(self, terms: Terms, *, sends: bool = True) -> tuple[bool, Terms]:
        """Take part in a run, and say what it may send, if nobody else is in one.

        One that does not send only keeps the run going until it leaves. Returns whether this
        process was the first, and what holds. Raises LedgerError while somebody settles records
        by hand.
        """
        values = (self._name, json.dumps(asdict(terms)))
        ((first, holds),) = self._session.rows("SELECT * FROM join_run(%s, %s::jsonb)", values)
        self._joined, self._sends = True, sends
        if not sends:  # who is in line may have to find the rate
            step_out = "UPDATE deliverer SET joined = NULL WHERE name = %s RETURNING 1"
            self._session.rows(step_out, (self._name,))
        return bool(first), Terms(**holds)

    def rejoin(self) -> bool:
        """Take part on a new connection, too, where this process did so before.

        Returns whether the run is the same one: another process may have begun one of its own,
        which may send something else.
        """
        if self._joined and self._sends:
            return bool(self._session.rows("SELECT rejoin_run(%s)", (self._name,))[0][0])
        if self._joined:
            self._session.rows("SELECT pg_advisory_lock_shared(run_key())")
        return True

    def leave(self) -> bool:
        """Take no part any more. Returns whether nobody else does."""
        if not self._joined:
            return False
        self._joined = False
        return bool(self._session.rows("SELECT leave_run(%s)", (self._name,))[0][0])

    def draw(self, report: Report) -> Allowance:
        """Report, and draw what may be sent next.

        Where the answer does not come this is asked again, and counted once, by its number.
        """
        self._draws += 1
        given = asdict(report) | {"stretch": _STRETCH, "number": self._draws}
        if report.hush is None:
            del given["hush"]
        values = (self._name, json.dumps(given))
        ((found,),) = self._session.rows("SELECT draw(%s, %s::jsonb)", values)
        # The database's moment lies before the answer came, so counted from here on a stretch
        # begins late, by less than the way back, and never early.
        now = time.monotonic()
        found["begins"] += now
        found["quiet_until"] = now + found.pop("quiet")
        found["refusals"] = tuple((now - age, rate) for _, age, rate in found["refusals"])
        return Allowance(**found)

    @contextlib.contextmanager
    def notices(self) -> Iterator[Callable[[float], tuple[int, float] | None]]:
        """Yield a function that waits for the next quiet period to be announced.

        It has a connection of its own. Raises LedgerError where that breaks.
        """
        with self._session.listening() as connection:

            def wait(seconds: float) -> tuple[int, float] | None:
                with self._session.words():
                    for notice in connection.notifies(timeout=seconds, stop_after=1):
                        generation, quiet = json.loads(notice.payload)
                        return int(generation), float(quiet)
                return None

            yield wait
