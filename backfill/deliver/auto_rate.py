"""Finding a rate limit that nobody told us, and staying just under it. Pure.

Additive increase, multiplicative decrease, in the shape of TCP's CUBIC (RFC 9438): after a
refusal the rate drops by `depth` below the ceiling, comes back to it quickly, lingers there, and
then climbs faster and faster, so a raised limit is found soon.

Two things differ from TCP, since a limit is not a queue. What was accepted between two refusals,
divided by the time between them, *is* the limit, whatever windows or bursts the server counts
in; so the ceiling is set to it. And the depth follows the last surprise: a limit that stays
where it was needs small steps only.
"""

from __future__ import annotations

import math

__all__ = ["AutoRate"]

_FIRST = 4.0  # requests a second before anything is known
_DOUBLING = 1.0  # seconds in which the rate doubles until the first refusal
_SHALLOW, _DEEP = 0.04, 0.5  # the least and the greatest drop after a refusal
_FLOOR = 0.01  # requests a second; a limit lower than this is an outage
_FAIR, _FAIR_TIME = 30, 2.0  # accepted requests and seconds that make a fair sample
_SELDOM, _SELDOM_TIME = 100, 25.0  # the same between two refusals that are seldom enough


class AutoRate:
    """The rate in requests a second, from what was sent, accepted and refused, and when.

    `learned` is the rate that an earlier run found.
    """

    def __init__(self, now: float, *, learned: float | None = None) -> None:
        self.learned = learned
        # Of a limit that an earlier run found we are not that sure.
        self._ceiling, self._depth = (learned, 0.2) if learned else (math.inf, _DEEP)
        self._doubling = learned is None
        self._since = now  # when the present climb began
        self._epoch = now  # when the sample began: the limit was used up then
        self._accepted = 0  # since the epoch
        self._answered = False  # whether anything was accepted since the last refusal
        self._mean: float | None = None  # accepted a second, over the last long sample
        self._window = now
        self._sent = 0  # since the window began
        self._used = _FIRST  # requests a second that were sent lately

    def rate(self, now: float) -> float:
        """Requests a second, now."""
        passed = max(0.0, now - self._since)
        if self._doubling:
            return min(_FIRST * math.exp2(min(passed / _DOUBLING, 60.0)), 2 * self._used)
        # Long enough in time for a server that counts in seconds, and in requests for a slow
        # one, so that the refused ones stay a small share of all.
        plateau = max(1.2, 6 / self._ceiling) / self._depth
        climb = 1 + self._depth * (passed / plateau - 1) ** 3
        return min(climb * self._ceiling, max(self._ceiling, 1.5 * self._used))

    def sent(self, now: float) -> None:
        """A request goes out. What is not used is not climbed above."""
        self._sent += 1
        passed = now - self._window
        if passed >= 0.5 and self._sent >= 5:
            self._used = self._sent / passed
            self._window, self._sent = now, 0

    def accepted(self) -> None:
        """A request was answered, and not told to slow down."""
        self._accepted += 1
        self._answered = True

    def throttled(self, now: float, rate: float) -> None:
        """A request that went out at `rate` was told to slow down: drop, once for each climb.

        The caller leaves out what went out before the last drop.
        """
        if not self._doubling and not self._answered:
            return  # the door is shut: that says nothing of how fast we may go
        passed, accepted = now - self._epoch, self._accepted
        fair = accepted >= _FAIR and passed >= _FAIR_TIME
        found = rate
        if self._doubling:
            self._depth, fair = 0.3, True
        elif accepted >= _SELDOM and passed >= _SELDOM_TIME:
            # Refused now and then is where we want to be. Where the server lets bursts pass,
            # the rate may be too high all the same: then the next refusal follows soon.
            self._depth = max(_SHALLOW, self._depth / 2)
            self._mean = accepted / passed
        elif fair:
            found = min(rate, 1.01 * accepted / passed)
            surprise = abs(found / self._ceiling - 1)
            self._depth = min(_DEEP, max(_SHALLOW, self._depth / 2, surprise))
        elif self._mean is not None and self._mean < rate:
            found, self._mean = self._mean, None
        else:
            self._depth = min(_DEEP, 2 * self._depth)
        self._doubling = False
        self._ceiling = self.learned = max(_FLOOR, found)
        if fair:
            self._epoch, self._accepted = now, 0
        self._answered = False
        self._since = now

    def paused(self, until: float) -> None:
        """Nothing is sent before `until`."""
        self._since = max(self._since, until)
        self._window, self._sent = max(self._window, until), 0
