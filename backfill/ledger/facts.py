"""Small facts that a ledger keeps beside its records: where these go, until when to be quiet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

__all__ = ["ADDRESS", "QUIET_ASKED_AT", "QUIET_UNTIL", "LedgerFacts"]

ADDRESS = "address"
"""The fact of where the records go."""

QUIET_UNTIL, QUIET_ASKED_AT = "quiet_until", "quiet_asked_at"
"""The facts of a quiet period, both in seconds since the epoch."""


class LedgerFacts(ABC):
    """The part of a ledger that is no record's. Every method raises LedgerError."""

    _address: str | None = None  # that the next intent binds the records to

    @abstractmethod
    def get_meta(self, key: str) -> str | None:
        """A small fact, or None where it was never remembered."""

    @abstractmethod
    def set_facts(self, facts: Mapping[str, str]) -> None:
        """Keep small facts over restarts, instead of what was kept under their names.

        They go into one durable transaction: all of them are kept, or none.
        """

    @abstractmethod
    def moment(self) -> float:
        """Now, in seconds since the epoch: of several machines by one clock."""

    def set_meta(self, key: str, value: str) -> None:
        """Keep one small fact, as `set_facts` does."""
        self.set_facts({key: value})

    def address(self) -> str | None:
        """Where the records go, or None before the first intent."""
        return self.get_meta(ADDRESS) or None

    def bind_address(self, address: str) -> None:
        """Have the records belong to an address from the next intent on, in its transaction."""
        self._address = address

    def release_address(self) -> None:
        """Let the records belong to no address, after a run of which no request arrived."""
        self.set_meta(ADDRESS, "")

    def quiet_until(self) -> float:
        """Before when nothing may be sent, in seconds since the epoch; 0 where nobody asked.

        Where the clock was set back since, no longer from now than was asked for then.
        """
        until = float(self.get_meta(QUIET_UNTIL) or 0)
        return until and until - self._set_back(self.moment())

    def set_quiet_until(self, epoch: float, asked_at: float | None = None) -> None:
        """Remember before when nothing may be sent, and when that was asked for, as epochs."""
        asked_at = self.moment() if asked_at is None else asked_at
        self.set_facts({QUIET_UNTIL: repr(float(epoch)), QUIET_ASKED_AT: repr(asked_at)})

    def _follow_clock(self) -> None:
        """Shorten a wait whose stored end would stay ahead of a clock that was set back."""
        until = float(self.get_meta(QUIET_UNTIL) or 0)
        if until and (back := self._set_back(now := self.moment())):
            self.set_quiet_until(until - back, now)

    def _set_back(self, now: float) -> float:
        """Seconds by which the clock was set back, at least, since a wait was asked for."""
        return max(0.0, float(self.get_meta(QUIET_ASKED_AT) or 0) - now)
