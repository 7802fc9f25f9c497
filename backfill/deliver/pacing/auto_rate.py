"""Find a rate limit that nobody told us, and stay just under it. Pure.

A limiter shows itself only when it refuses, and a refusal is dear: a server that answers
`Retry-After: 1` costs a second for each. So the rate is not felt for again and again; it is worked
out from a few refusals, and then held.

**Start.** The rate grows by doubling, more slowly where many requests are in flight, because those
are what the first refusal costs.

**Seek.** Just before a refusal the server's allowance is used up. Of a token bucket with rate R
and burst B follows: in any time before the refusal at most `R * time + B` requests were accepted,
and exactly so many since the bucket was last full. It was full at the start, so the first refusal
gives B for each R (`Cycle.burst_at`), and every later one that was approached at another speed
gives R. Whatever the limiter is, what was accepted between two refusals, divided by the time
between them with the wait, is a rate that it sustains, and it refuses no rate below its own: so
the limit lies between an estimate and the rate that was refused. A rate between the two is held
until it is refused, or for longer than the bucket of the estimate would have lasted; and so on,
until two estimates agree or nothing is left between.

A server that shuts the door for long counts in long windows. There what it accepted before it shut
the door, divided by the length of the window, is the rate; and windows have round lengths.

**Hold.** The rate stays a margin under the estimate. A refusal that comes sooner than the budget
of refusals allows doubles the margin, a long peace narrows it. The rate climbs again, slowly at
first, once the cost of the last refusal, in requests and in time, has become small: so a limit
that was raised is found. A refusal right after a wait speaks of the burst and not of the rate;
only several on end make the search begin anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from enum import Enum

from backfill.deliver.pacing.refusal_cycle import Cycle

__all__ = ["AutoRate"]

_FIRST = 32.0  # requests a second before anything is known
_DOUBLING = 0.4  # seconds in which the rate doubles before the first refusal
_IN_FLIGHT, _IN_FLIGHT_SHARE = 4.0, 0.012  # growth slows above so many, and such a share of all
_FLOOR = 0.01  # requests a second; a limit lower than this is an outage
_AFTER_FIRST = 0.6  # of the rate that was refused first
_CLIMB, _PROBE = 0.05, 0.002  # a second: after the first refusal, and while holding
_AGREE, _CLOSE = 0.015, 0.02  # estimates, and bounds, that differ by less leave nothing to seek
_REFUSED_SHARE, _WAITED_SHARE = 0.002, 0.01  # what refusals may cost before the rate climbs
_LEAST_MARGIN, _HINTED_MARGIN, _MOST_MARGIN = 0.003, 0.02, 0.12
_PART = 0.35  # where between the bounds to look
_FEW = 10  # accepted requests that say little
_LONG_WAIT = 3.0  # seconds of a shut door that tell of a long window
_SPANS = (5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)  # usual windows
_USED_TIME, _USED = 0.5, 5  # seconds and requests over which the use of the rate is measured
_LATE = 0.05  # seconds after the end of a window when it is surely over
_BELIEVED = 60.0  # seconds in which a rate that the server named is not exceeded
_PROVEN = 5.0  # seconds after which a rate that the server named has shown itself


class _Phase(Enum):
    START = "doubling until the first refusal"
    CLIMB = "climbing until the second one"
    SEEK = "narrowing down what lies between"
    HOLD = "staying just under what was found"


class AutoRate:
    """The rate in requests a second, from what was sent, accepted and refused, and when.

    `learned` is the rate that an earlier run found.
    """

    def __init__(self, now: float, *, learned: float | None = None) -> None:
        self._found = learned  # the last estimate
        self._phase = _Phase.HOLD if learned else _Phase.START
        self._base = learned or _FIRST
        self._low, self._high = self._base, math.inf  # the limit lies between, as far as is known
        self._hinted = False  # whether the base is what the server said
        self._denied = False  # whether it refused what it had said, or anything
        self._margin = _LEAST_MARGIN
        self._burst: float | None = None  # requests that the limiter allows at once, once known
        self._span: float | None = None  # seconds of the limiter's window, where it is a long one
        self._start: Cycle | None = None  # the first one, whose bucket was full for sure
        self._cycle = Cycle(now, 0)
        self._since = now  # when the present base was chosen
        self._serial = 0  # requests sent
        self._shut: float | None = None  # when the door was shut; None while it is open
        self._knocked = now  # when the last refused request left
        self._refused = 0  # while the door is shut
        self._paid, self._waited = 0, 0.0  # refusals and seconds of the closure before this cycle
        self._early = 0  # cycles in a row too short to tell of the rate
        self._round_trip = 0.1
        self._window, self._window_serial = now, 0
        self._used = _FIRST  # requests a second that were sent lately

    @property
    def learned(self) -> float | None:
        """The rate that was found, for the next run to begin with; None before any refusal."""
        return None if self._phase is _Phase.START else self._base

    def rate(self, now: float) -> float:
        """Requests a second, now."""
        if self._shut is not None:
            return self._base
        passed = max(0.0, now - self._since)
        match self._phase:
            case _Phase.START:
                fast = _FIRST * math.exp2(min(passed / _DOUBLING, 60.0))
                out = _IN_FLIGHT + 1.5 * passed + _IN_FLIGHT_SHARE * self._serial
                return max(_FIRST, min(fast, out / self._round_trip, 2 * self._used))
            case _Phase.SEEK:
                return self._base
            case _Phase.CLIMB:
                grown = math.exp(min(_CLIMB * passed, 60.0))
            case _Phase.HOLD:
                climbed = _PROBE * max(0.0, passed - self._peace())
                grown = 1 + climbed + 500 * climbed**3
        # What is not used is not climbed above.
        return self._base * min(grown, max(1.0, 1.5 * self._used / self._base))

    def sent(self, now: float) -> int:
        """A request goes out. Returns its number."""
        if not self._serial:  # a quiet period may have come before the first one
            self._cycle, self._since = Cycle(now, 0), now
        elif self._shut is None:
            self._cycle.sent(now, self._serial)
        self._serial += 1
        passed, count = now - self._window, self._serial - self._window_serial
        if passed >= _USED_TIME and count >= _USED:
            self._used = count / passed
            self._window, self._window_serial = now, self._serial
        return self._serial

    def accepted(self, now: float, sent_at: float, *, fresh: bool) -> None:
        """A request was answered, and not told to slow down.

        `fresh` where it left after the last quiet period had begun.
        """
        self._round_trip += 0.1 * (now - sent_at - self._round_trip)
        if self._shut is not None:
            if fresh:
                self._open(sent_at, self._shut)
        elif self._phase is _Phase.SEEK and now - self._since > self._patience():
            self._low = self._base
            self._seek(now)

    def refused(self, sent_at: float, serial: int, rate: float, *, fresh: bool) -> None:
        """The request `serial`, which went out at `rate`, was told to slow down."""
        self._refused += 1
        if not fresh:
            return
        self._knocked = sent_at
        if self._shut is None:
            self._shut = sent_at
            self._cycle.close(sent_at, serial - 1)
            self._high = rate
            if self._hinted and self._cycle.seconds > _PROVEN:
                self._hinted, self._denied = False, True
            elif self._hinted or self._phase is _Phase.START:
                self._hinted, self._denied = False, True
                self._phase = _Phase.CLIMB
                self._start = self._cycle
                self._base = _AFTER_FIRST * rate

    def knock_in(self, now: float, guess: float) -> float:
        """Seconds to wait where the server does not say how long, at most `guess`.

        Less where a window of usual length that began with this cycle would end before.
        """
        begin = self._cycle.points[0][0]
        ends = (begin + span + _LATE - now for span in _SPANS)
        return min((end for end in ends if _LATE < end < guess), default=guess)

    def others(
        self, now: float, *, sent: int, accepted: int, refused: Iterable[tuple[float, float]]
    ) -> None:
        """What others did who share the limit; `refused` are moments and rates, fresh ones only."""
        for _ in range(sent):
            self.sent(now)
        for at, rate in refused:
            self.refused(at, self._cycle.number_at(at), rate, fresh=True)
        if accepted and self._shut is not None and not refused:
            self._open(now, self._shut)

    def hint(self, now: float, rate: float) -> None:
        """The server says that it allows so many requests a second.

        Believed until the first refusal, and no longer: then it is found out as if nothing had
        been said.
        """
        if self._phase is _Phase.START and self._shut is None and not self._denied:
            self._phase, self._hinted, self._since = _Phase.HOLD, True, now
        self._margin = max(self._margin, _HINTED_MARGIN)
        if self._hinted and abs(rate - (self._found or 0.0)) > _AGREE * rate:
            self._adopt(rate)
            self._since = now

    def unhint(self, now: float) -> None:
        """What the server said turned out to mean something else."""
        if self._hinted:
            self._phase, self._hinted, self._since = _Phase.START, False, now
            self._found = None

    def paused(self, until: float, *, asked: bool) -> None:
        """Nothing is sent before `until`, which the server `asked` for in whole seconds, or not."""
        if asked:
            self._knocked = max(self._knocked, until - 1.0)
        self._window, self._window_serial = max(self._window, until), self._serial

    def _open(self, now: float, shut: float) -> None:
        """A request that left `now` is accepted again: see what the closed cycle tells."""
        cycle = self._cycle
        if now - shut >= _LONG_WAIT:
            self._count_window(cycle, now)
        elif cycle is self._start:
            pass  # one refusal alone tells of no rate
        elif self._phase is _Phase.HOLD:
            self._correct(cycle)
        else:
            self._narrow(cycle)
        self._paid, self._waited, self._refused = self._refused, now - shut, 0
        self._shut = None
        self._cycle = Cycle(now, self._serial - 1)
        self._since = now

    def _narrow(self, cycle: Cycle) -> None:
        """A refusal while seeking: the limit lies between an estimate and the rate refused."""
        sustained = cycle.requests / (cycle.seconds + self._waited)
        vague = cycle.requests < _FEW or cycle.seconds < max(1.0, self._waited)
        found = sustained if vague else self._estimate(cycle, sustained)
        if cycle.requests < _FEW:
            found = max(found, _AFTER_FIRST * self._high)
        agreed = self._found is not None and abs(found - self._found) < _AGREE * self._found
        if agreed and self._found and not vague:
            self._settle(max(found, self._found), cycle)
            return
        self._low = self._found = max(_FLOOR, found)
        self._seek(cycle.end)

    def _estimate(self, cycle: Cycle, sustained: float) -> float:
        """The rate at which this refusal tells of the burst that is known of, else of the first."""
        burst, start = self._burst, self._start
        if burst is not None:
            return _root(lambda rate: cycle.burst_at(rate) - burst, sustained, self._high)
        if start is not None:
            return _root(
                lambda rate: cycle.burst_at(rate) - start.burst_at(rate), sustained, self._high
            )
        return max(sustained, (1 - _CLOSE) * self._high)

    def _seek(self, now: float) -> None:
        """Hold a rate between the bounds, or, where they are close, what was found."""
        self._since = now
        self._low = min(self._low, self._high)
        if self._high <= (1 + _CLOSE) * self._low:
            self._settle(self._low, self._cycle)
        else:
            self._phase = _Phase.SEEK
            self._base = self._low + _PART * (self._high - self._low)

    def _patience(self) -> float:
        """Seconds after which a limit at the lower bound would have refused the present rate."""
        burst = self._start.burst_at(self._low) if self._start else self._low
        return 1.0 + 1.2 * max(burst, 1.0) / (self._base - self._low)

    def _settle(self, found: float, cycle: Cycle) -> None:
        self._phase = _Phase.HOLD
        if cycle.requests:
            self._burst = max(1.0, cycle.burst_at(found))
        self._adopt(found)

    def _adopt(self, found: float) -> None:
        self._found = max(_FLOOR, found)
        self._base = self._found * (1 - self._margin)

    def _peace(self) -> float:
        """Seconds of a cycle after which the refusals before it are a small share of all."""
        if self._hinted:
            return _BELIEVED
        return max(self._waited / _WAITED_SHARE, self._paid / _REFUSED_SHARE / self._base)

    def _correct(self, cycle: Cycle) -> None:
        """A refusal while holding."""
        if cycle.seconds < self._peace():
            self._margin = min(_MOST_MARGIN, 2 * self._margin)
        else:
            self._margin = max(_LEAST_MARGIN, 0.7 * self._margin)
        sustained = cycle.requests / (cycle.seconds + self._waited)
        found = self._found or self._base
        if cycle.seconds < 2 * self._waited or cycle.requests < _FEW:
            self._early += 1
            if self._early >= 3:
                self._early = 0
                self._start = self._span = self._burst = None
                self._low = sustained
                self._seek(cycle.end)
                return
        else:
            self._early = 0
            if self._span is None:
                found = self._estimate(cycle, sustained)
            elif cycle.seconds >= self._span:
                found = cycle.within(self._span) / self._span
        self._adopt(found)

    def _count_window(self, cycle: Cycle, now: float) -> None:
        """The door was shut for long: the server counts in windows, and this one was used up."""
        begin = cycle.points[0][0]
        least, most = self._knocked - begin, now - begin
        usual = [span for span in _SPANS if least <= span <= most]
        self._span = usual[0] if usual else most
        self._phase = _Phase.HOLD
        self._adopt(cycle.requests / self._span)


def _root(gap: Callable[[float], float], low: float, high: float) -> float:
    """The rate at which `gap`, which falls as the rate grows, is 0; else the nearer bound."""
    if high <= low or gap(low) <= 0:
        return low
    if gap(high) >= 0:
        return high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    return (low + high) / 2
