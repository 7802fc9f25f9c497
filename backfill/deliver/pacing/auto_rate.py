"""Finding a rate limit that nobody told us, and staying just under it. Pure.

Additive increase, multiplicative decrease, in the shape of TCP's CUBIC (RFC 9438): after a
refusal the rate drops by `depth` below the ceiling, comes back to it quickly, lingers there, and
then climbs faster and faster, so a raised limit is found soon.

A refusal says where the limit is only by where in the climb it comes. Near the ceiling, the
ceiling was right, and the next drop is smaller; far below it the limit is lower, and the next
drop is larger. Where the refusals are many, or shut the door for long (a server that counts by
the minute), the rate of the moment says nothing: then what was accepted in a long time, divided
by that time, is the limit.
"""

from __future__ import annotations

import math

__all__ = ["AutoRate"]

_FIRST = 4.0  # requests a second before anything is known
_DOUBLING = 1.0  # seconds in which the rate doubles until the first refusal
_SHALLOW, _DEEP = 0.035, 0.5  # the least and the greatest drop after a refusal
_FLOOR = 0.01  # requests a second; a limit lower than this is an outage
_FAIR, _FAIR_TIME = 30, 10.0  # accepted requests and seconds that make a fair sample
_LONG_WAIT = 5.0  # seconds shut out on end that tell of a window longer than seconds
_USED_TIME, _USED = 0.5, 5  # seconds and requests over which the use of the rate is measured


class AutoRate:
    """The rate in requests a second, from what was sent, accepted and refused, and when.

    `learned` is the rate that an earlier run found.
    """

    def __init__(self, now: float, *, learned: float | None = None) -> None:
        self.learned = learned
        # Of a limit that an earlier run found we are not that sure.
        self._ceiling, self._depth = (learned, 0.2) if learned else (math.inf, _DEEP)
        self._doubling = not learned
        self._since = now  # when the present climb began
        self._answered = False  # whether anything was accepted since the last refusal
        self._quota = False  # whether the server seems to count in long windows
        self._sample = now  # when the present sample began; what follows is counted since then
        self._accepted = self._refused = 0
        self._waited = 0.0  # seconds in which nothing was to be sent
        self._shut = self._longest_shut = 0.0  # such seconds without an acceptance between
        self._before = (0.0, 0.0)  # requests and seconds of earlier samples, older ones fading
        self._pause_end = now
        self._window, self._sent = now, 0
        self._used = _FIRST  # requests a second that were sent lately

    def rate(self, now: float) -> float:
        """Requests a second, now."""
        passed = max(0.0, now - self._since)
        if self._doubling:
            return min(_FIRST * math.exp2(min(passed / _DOUBLING, 60.0)), 2 * self._used)
        # In time for a server that counts in seconds, and in requests for a slow one, so that
        # the refused ones stay a small share of all.
        pace = max(1.2, 6 / self._ceiling)
        plateau = pace / self._depth
        if passed <= plateau:
            return self._ceiling * (1 - self._depth * (1 - passed / plateau) ** 3)
        beyond = (passed - plateau) / (pace * (48 if self._quota else 12))
        climb = 1 + _SHALLOW * beyond**3
        return min(climb * self._ceiling, max(self._ceiling, 1.5 * self._used))

    def sent(self, now: float) -> None:
        """A request goes out. What is not used is not climbed above."""
        self._sent += 1
        passed = now - self._window
        if passed >= _USED_TIME and self._sent >= _USED:
            self._used = self._sent / passed
            self._window, self._sent = now, 0

    def accepted(self) -> None:
        """A request was answered, and not told to slow down."""
        self._accepted += 1
        self._answered = True
        self._shut = 0.0

    def refused(self) -> None:
        """A request was told to slow down, whenever it went out."""
        self._refused += 1

    def throttled(self, now: float, rate: float) -> None:
        """A request that went out at `rate` was told to slow down: drop, once for each climb.

        The caller leaves out what went out before the last drop; that is for `refused` alone.
        """
        if not self._doubling and not self._answered:
            return  # the door is shut: that says nothing of how fast we may go
        passed = now - self._sample
        fair = self._doubling or (self._accepted >= _FAIR and passed >= _FAIR_TIME)
        found = rate
        if self._doubling:
            self._depth = 0.3
        elif fair and self._shut_out():
            found = min(rate, 1.01 * self._mean(passed))
            self._depth = max(_SHALLOW, self._depth / 2)
        elif fair and rate > 1.6 * self._accepted / passed:
            # A long climb has ended: the limit was raised, or a large burst is used up.
            found = max(0.7 * rate, 1.01 * self._accepted / passed)
            self._depth = max(_SHALLOW, self._depth / 2)
        elif rate < (1 - 0.2 * self._depth) * self._ceiling:
            self._depth = min(_DEEP, 2 * self._depth)
        else:
            self._depth = max(_SHALLOW, self._depth / 2)
        self._doubling = False
        self._ceiling = self.learned = max(_FLOOR, found)
        self._since = now
        self._answered = False
        if fair:
            self._begin_sample(now, passed)

    def paused(self, now: float, until: float) -> None:
        """Nothing is sent from `now` on before `until`."""
        if until > self._pause_end:
            more = until - max(now, self._pause_end)
            self._waited += more
            self._shut += more
            self._longest_shut = max(self._longest_shut, self._shut)
            self._pause_end = until
        self._since = max(self._since, until)
        self._window, self._sent = max(self._window, until), 0

    def _shut_out(self) -> bool:
        """Whether waits or refusals were so many that the rate of the moment says nothing."""
        many = self._refused > 2 + 0.01 * self._accepted
        return many or self._longest_shut > _LONG_WAIT

    def _mean(self, passed: float) -> float:
        """What was accepted a second: in this sample, or with earlier ones if that is more.

        Short waits are our own doing, and left out; long ones are the server's way to count.
        """
        own = passed if self._longest_shut > _LONG_WAIT else passed - self._waited
        requests, seconds = self._before
        together = (requests / 2 + self._accepted) / (seconds / 2 + own)
        return max(together, self._accepted / own)

    def _begin_sample(self, now: float, passed: float) -> None:
        requests, seconds = self._before
        self._before = (requests / 2 + self._accepted, seconds / 2 + passed)
        self._quota = self._longest_shut > _LONG_WAIT
        self._sample, self._accepted, self._refused, self._waited = now, 0, 0, 0.0
        self._longest_shut = 0.0
