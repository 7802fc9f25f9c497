"""How many requests a late client may catch up with at once: as many as are seen to be accepted.

Timers are late, and what they lose is made up for by requests that follow each other more closely.
Some limiters allow that, some refuse each request that comes a moment too soon. Which one it is
shows itself: where a request is refused that came sooner than nearly all that were accepted, that
speaks of the closeness and not of the rate. What is accepted is doubled, what is refused is tried
again much later. Pure.
"""

from __future__ import annotations

__all__ = ["CatchingUp"]

_PROOF, _PROVES = 5, 0.6  # accepted requests that came so soon, as a share of what is allowed
_ENOUGH = 20  # accepted requests with which a refused one can be compared
_SOON = 0.1  # requests ahead; what comes later than that is on time
_FASTER = 1.2  # a rate that much above the one at which it was seen begins anew
_MOST = 64.0  # requests
_REFILL = 1.1  # of the rate, at which a server forgets
_AGAIN, _LATER = 500, 8  # requests until it is tried again, and how many times as many then


class CatchingUp:
    """Requests that may be caught up with: `allowed`."""

    def __init__(self) -> None:
        self.allowed = 1.0
        self._proven = 0.0
        self._rate = 0.0  # at which the following was seen
        self._accepted = self._soon = 0
        self._soonest = (0.0, 0.0)  # two accepted requests that were furthest ahead
        self._level, self._at = 0.0, 0.0
        self._pause, self._left = _AGAIN, 0  # requests, while it is not tried

    @property
    def even(self) -> bool:
        """Whether the server refuses what comes sooner than evenly, as far as is known."""
        return self._proven < 1.0 and self._pause > _AGAIN

    def sent(self, now: float, rate: float) -> float:
        """A request leaves. Returns how many requests ahead of an even spacing it is."""
        ahead = max(0.0, self._level - _REFILL * rate * (now - self._at))
        self._level, self._at = ahead + 1.0, now
        return ahead

    def accepted(self, ahead: float, rate: float) -> None:
        """A request that was so far ahead was accepted."""
        self._begin_at(rate)
        self._accepted += 1
        _, second, first = sorted((*self._soonest, ahead))
        self._soonest = (second, first)
        if self._left:
            self._left -= 1
            if not self._left:
                self.allowed = max(1.0, 2 * self._proven)
                self._soon = 0
        elif ahead > _PROVES * self.allowed:
            self._soon += 1
            if self._soon >= _PROOF:
                self._proven, self._soon = self.allowed, 0
                self.allowed = min(_MOST, 2 * self.allowed)

    def refused(self, ahead: float, rate: float) -> bool:
        """Whether a request was refused because it came so soon, as far as is known."""
        self._begin_at(rate)
        soonest = 0.0 if self.even else self._soonest[0]
        if self._accepted < _ENOUGH or ahead <= max(_SOON, soonest):
            return False
        self.allowed = self._proven = self._proven if self._proven < ahead else 0.0
        self._left = self._pause
        self._pause *= _LATER
        return True

    def _begin_at(self, rate: float) -> None:
        """What was seen at a much lower rate proves nothing of this one."""
        if rate > _FASTER * self._rate:
            self._rate, self._proven = rate, 0.0
            self._accepted, self._soon, self._soonest = 0, 0, (0.0, 0.0)
            self.allowed = min(self.allowed, 1.0)
