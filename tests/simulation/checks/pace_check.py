"""Whether a run goes by what was said: how fast, how many at once, and not at all while paused."""

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
        self._concurrency = self._most = concurrency
        self._tokens = 1e9
        self._at = now
        self._begun = False
        self._said = False  # whether another pace was, since the run began
        self._said_at = -math.inf  # when that was, or a freeze ended
        self._paused = False
        self._paused_at = -math.inf  # when that was said, or the opposite, or a freeze ended
        self._until = math.inf  # when the run's time is up

    def ends_after(self, seconds: float | None) -> None:
        """The run is to start nothing any more after so many seconds."""
        self._until = self._at + seconds if seconds is not None else math.inf

    def change(self, now: float, rate: float, concurrency: int) -> None:
        """Another pace was said."""
        self._rate = rate
        self._concurrency, self._most = concurrency, max(self._most, concurrency)
        self._said, self._said_at = True, now
        self._begun = False

    def pause(self, now: float, *, paused: bool) -> None:
        """The run is to be held back, or not any more."""
        self._paused, self._paused_at = paused, now

    def freeze(self, now: float, seconds: float) -> None:
        """So much time has passed until `now` in which nobody could do anything."""
        self._until += seconds
        self._begun = False
        self._said_at = self._paused_at = now

    def told(self, now: float, rate: float | None, *, paused: bool) -> None:
        """The run tells how fast it may go."""
        if self._said and rate != self._rate and self._heard(now, self._said_at):
            raise self._witness.found("a rate was not heard", f"{self._rate:g}/s, not {rate}/s")
        if paused != self._paused and self._heard(now, self._paused_at):
            raise self._witness.found("a pause, or its end, was not heard")

    def leaves(self, now: float) -> None:
        """A request is about to leave."""
        if self._heard(now, self._said_at):
            self._most = self._concurrency
        if len(self._witness.calls) >= self._most:
            raise self._witness.found("more requests out at once than allowed", f"{self._most}")
        if self._heard(now, max(self._until, self._said_at)):
            raise self._witness.found("sent after the run's time was up")
        if self._paused and self._heard(now, self._paused_at):
            since = now - self._paused_at
            raise self._witness.found("sent while paused", f"{since:.3f} s after the word")
        if self._rate is None or not self._heard(now, self._said_at):
            return
        most = max(0.1 * self._rate, 1.2) + 1 + self._rate * 4 * self.delay
        self._tokens = (
            min(most, self._tokens + (now - self._at) * self._rate) if self._begun else most
        )
        self._begun, self._at = True, now
        self._tokens -= 1
        if self._tokens < -1e-6:
            raise self._witness.found("sent faster than the rate", f"{self._rate:g}/s")

    def _heard(self, now: float, said_at: float) -> bool:
        """Whether what was said at a moment must be heeded by now."""
        return now > said_at + _SECOND + 4 * self.delay
