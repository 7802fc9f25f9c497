"""Whether requests leave no faster than was said, and none while the run is held back."""

from __future__ import annotations

import math

from tests.simulation.checks.witness import Witness

__all__ = ["PaceCheck"]

_SECOND = 1.0  # within which a word about the pace is heeded


class PaceCheck:
    """Follows the moments at which requests leave.

    A grant is drawn before its intent is written down, so what a slow disk holds up leaves
    together: `delay` is how long that took at most, in seconds.
    """

    def __init__(self, witness: Witness, now: float, rate: float | None, concurrency: int) -> None:
        self.delay = 0.0
        self._witness = witness
        self._rate = rate
        self._concurrency = concurrency
        self._tokens = 1e9
        self._at = now
        self._begun = False
        self._said_at = -math.inf  # when another pace was said, or a freeze ended
        self._paused_since: float | None = None
        self._until = math.inf  # when the run's time is up

    def ends_after(self, seconds: float | None) -> None:
        """The run is to start nothing any more after so many seconds."""
        self._until = self._at + seconds if seconds is not None else math.inf

    def change(self, now: float, rate: float | None, concurrency: int | None) -> None:
        """Another pace was said."""
        self._rate = rate
        self._concurrency = max(self._concurrency, concurrency or 0)
        self._said_at = now
        self._begun = False

    def pause(self, now: float, *, paused: bool) -> None:
        self._paused_since = now if paused else None

    def freeze(self, now: float, seconds: float) -> None:
        """So much time has passed until `now` in which nobody could do anything."""
        self._until += seconds
        self._begun = False
        self._said_at = now
        if self._paused_since is not None:
            self._paused_since = now

    def leaves(self, now: float) -> None:
        """A request leaves."""
        if len(self._witness.calls) > self._concurrency:
            raise self._witness.found("more requests out at once than allowed")
        if now > max(self._until, self._said_at) + _SECOND + 4 * self.delay:
            raise self._witness.found("sent after the run's time was up")
        since = self._paused_since
        if since is not None and now > since + _SECOND + 4 * self.delay:
            raise self._witness.found("sent while paused", f"{now - since:.3f} s after the word")
        if self._rate is None or now < self._said_at + _SECOND + 4 * self.delay:
            return
        most = max(0.1 * self._rate, 1.2) + 1 + self._rate * 4 * self.delay
        self._tokens = (
            min(most, self._tokens + (now - self._at) * self._rate) if self._begun else most
        )
        self._begun, self._at = True, now
        self._tokens -= 1
        if self._tokens < -1e-6:
            raise self._witness.found("sent faster than the rate", f"{self._rate:g}/s")
