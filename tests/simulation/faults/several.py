"""Small faults of what several deliverers share, each of which some life of theirs must find."""

from __future__ import annotations

from tests.simulation.faults import Tooth

__all__ = ["OF_SEVERAL"]

_MEMBER = "deliver/together/member.py"
_SHARED = "deliver/together/budget.py"
_SESSION = "ledger/postgres/session.py"
_LEDGER = "ledger/postgres/ledger.py"
_OWNER = "ledger/postgres/owner_functions.py"
_BUDGET = "ledger/postgres/budget_functions.py"

OF_SEVERAL = (
    Tooth(
        "the lease is looked at too early",
        _MEMBER,
        "        return lambda: may_send() and still_valid()\n",
        "        early = may_send()\n        return lambda: early and still_valid()\n",
    ),
    Tooth(
        "a deadline counts from when the answer came",
        _SESSION,
        "        self.deadline = sent_at + self._lease",
        "        self.deadline = now() + self._lease",
    ),
    Tooth(
        "a bucket is taken back though another one had it",
        _OWNER,
        "WHERE o.bucket = b AND o.epoch = known;\n    IF NOT FOUND THEN\n"
        "        PERFORM pg_advisory_unlock",
        "WHERE o.bucket = b;\n    IF NOT FOUND THEN\n        PERFORM pg_advisory_unlock",
    ),
    Tooth(
        "all flights are settled at a take-over",
        _OWNER,
        "        FROM flight f WHERE f.bucket = b;\n"
        "        DELETE FROM flight f WHERE f.bucket = b;\n",
        "        FROM flight f;\n        DELETE FROM flight f;\n",
    ),
    Tooth(
        "a lane is not held after a take-over",
        _OWNER,
        "SELECT b, f.lane, clock_timestamp() + make_interval(secs => greatest(theirs, hold))\n",
        "SELECT b, f.lane, clock_timestamp()\n",
    ),
    Tooth(
        "whoever has a bucket loses it at once",
        _OWNER,
        "AND l.pid IN (SELECT silent(lease))\n",
        "AND l.pid IN (SELECT silent(0))\n",
    ),
    Tooth(
        "a commit whose answer was lost is written twice",
        _LEDGER,
        "                    lambda: self._recorded(number),\n",
        "                    lambda: False,\n",
    ),
    Tooth(
        "the limit is each deliverer's own",
        _BUDGET,
        "        b.records_left := b.records_left - records;\n",
        "",
    ),
    Tooth(
        "the rate is each deliverer's own",
        _BUDGET,
        "        b.free_at := first_at + make_interval(secs => granted * spacing);\n",
        "        b.free_at := moment;\n",
    ),
    Tooth(
        "a quiet period is told to nobody",
        _SHARED,
        "            self._hush = seconds\n",
        "",
    ),
    Tooth(
        "what was drawn before a quiet period is sent within it",
        _SHARED,
        "            self._quiet_until = max(self._quiet_until, now + quiet)\n",
        "            pass\n",
    ),
    Tooth(
        "a second break of the database ends a run",
        _SESSION,
        "            except (LedgerError, psycopg.OperationalError) as error:\n",
        "            except ZeroDivisionError as error:\n",
    ),
    Tooth(
        "the requests of an owner that is lost are not counted",
        "ledger/postgres/owner_functions.py",
        "               count(DISTINCT f.lane), 0, 0, 0, 0, 0\n",
        "               0, 0, 0, 0, 0, 0\n",
    ),
)
"""Every fault that lives of several deliverers must find."""
