"""How far under a found rate to stay, and how long until it climbs again. Pure.

A refusal that comes sooner than the budget of refusals allows doubles the margin, a long peace
narrows it. The rate climbs, slowly at first, once the last refusal has become a small share of all
requests, and its wait a small share of all time.
"""

from __future__ import annotations

__all__ = ["Holding"]

_PROBE = 0.002  # a second: how a rate that is held climbs
_REFUSED_SHARE, _WAITED_SHARE = 0.002, 0.01  # what refusals may cost before it does
_LEAST, _MOST = 0.003, 0.12  # margins
_HINTED = 0.02  # below a rate that the server named
_FIRST = 0.015  # below an estimate that no refusal has confirmed yet
_WINDOW = 0.025  # for late timers, where what was sent late counts in the next second
_EVEN = 0.05  # where each request that comes a moment too soon is refused
_UNPROVEN, _EAGER = 12.0, 4.0  # seconds until such a rate climbs, and how much faster
_UNPROVEN_SHARE = 0.04  # of the time that it is held, which the last refusal may have cost
_TELLING = 5.0  # seconds of a cycle that say more than chance does
_BELIEVED = 60.0  # seconds in which a rate that the server named is not exceeded


class Holding:
    """The margin under a rate. `proven` where a refusal has shown what was found to be right,
    `hinted` where the server has said it.
    """

    def __init__(self) -> None:
        self.proven, self.hinted = True, False
        self.waited = 0.0  # seconds of the closure before this cycle
        self._paid = 0  # refusals in it
        self._margin = _LEAST

    def paid(self, refused: int, waited: float) -> None:
        """So many refusals and seconds were lost before this cycle."""
        self._paid, self.waited = refused, waited

    def listen(self) -> None:
        """The server says what it allows."""
        self._margin = max(self._margin, _HINTED)

    def count_seconds(self) -> None:
        """The server counts in windows of a second."""
        self._margin = max(self._margin, _WINDOW)

    def begin(self, *, proven: bool) -> None:
        """An estimate is held from now on."""
        self.proven = proven
        if not proven:
            self._margin = max(self._margin, _FIRST)

    def adjust(self, seconds: float, rate: float, *, window: bool) -> bool:
        """Take note of a refusal after so many seconds. Returns whether the rate was unproven."""
        unproven, self.proven = not self.proven, self.proven or seconds > _TELLING
        if unproven and seconds > 3 * self.waited and not window:
            self._margin = _LEAST
        elif seconds < self._seconds(rate):
            self._margin = min(_MOST, 2 * self._margin)
        else:
            self._margin = max(_LEAST, 0.7 * self._margin)
        return unproven

    def below(self, found: float, *, even: bool) -> float:
        """The rate to hold."""
        return found * (1 - max(self._margin, _EVEN if even else 0.0))

    def climbed(self, passed: float, rate: float) -> float:
        """By which factor the rate has grown after so many seconds."""
        eager = 1.0 if self.proven else _EAGER
        climbed = _PROBE * eager * max(0.0, passed - self._seconds(rate))
        return 1 + climbed + 500 * climbed**3

    def _seconds(self, rate: float) -> float:
        """Seconds to hold before climbing, so that refusals stay a small share of all requests."""
        if self.hinted:
            return _BELIEVED
        if not self.proven:
            return max(_UNPROVEN, self.waited / _UNPROVEN_SHARE)
        return max(self.waited / _WAITED_SHARE, self._paid / _REFUSED_SHARE / rate)
