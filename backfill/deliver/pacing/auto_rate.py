"""Find a rate limit that nobody told us, and stay just under it. Pure.

A limiter shows itself only when it refuses, and a refusal is dear: a server that answers
`Retry-After: 1` costs a second for each. So the rate is not felt for again and again; it is worked
out from a few refusals, and then held.

**Start.** The rate grows by doubling, more slowly where many requests are in flight, because those
are what the first refusal costs.

**Climb.** The second refusal is approached more slowly. With the first one it gives the rate of a
token bucket (`refusal_cycle`).

**Seek.** Windows do not fit both refusals; they are told by their numbers (`usual_windows`).
Whatever the limiter is, what was accepted between two refusals, divided by the time between them
with the wait, is a rate that it sustains, and it refuses no rate below its own: so the limit lies
between an estimate and the rate that was refused. A rate between the two is held until it is
refused, or for longer than the bucket of the estimate would have lasted; and so on.

**Hold.** The rate stays a margin under the estimate. A refusal that comes sooner than the budget
of refusals allows doubles the margin, a long peace narrows it. The rate climbs again, slowly at
first, once the cost of the last refusal, in requests and in time, has become small: so a limit
that was raised is found. Before a refusal has confirmed an estimate the rate climbs sooner, and
faster. One refusal that speaks of a much lower limit may come of a stall on the way; only a second
one is believed. A refusal right after a wait speaks of the burst and not of the rate; only several
on end make the search begin anew.
"""

from __future__ import annotations

import math
from enum import Enum

from backfill.deliver.pacing.budget import News
from backfill.deliver.pacing.refusal_cycle import Cycle, rate_for_burst, rate_of_both
from backfill.deliver.pacing.starting_rate import FIRST, RecentUse, rate_at_end, starting_rate
from backfill.deliver.pacing.usual_windows import Windows, soonest_end

__all__ = ["AutoRate"]

_FLOOR = 0.01  # requests a second; a limit lower than this is an outage
_AFTER_FIRST = 0.6  # of the rate that was refused first
_CLIMB, _PROBE = 0.05, 0.002  # a second: after the first refusal, and while holding
_AGREE, _CLOSE = 0.015, 0.02  # estimates, and bounds, that differ by less leave nothing to seek
_REFUSED_SHARE, _WAITED_SHARE = 0.002, 0.01  # what refusals may cost before the rate climbs
_LEAST_MARGIN, _HINTED_MARGIN, _MOST_MARGIN = 0.003, 0.02, 0.12
_HINTED_BURST = 0.04  # seconds' worth of requests that a server allows at once that names a rate
_PART = 0.35  # where between the bounds to look
_FIRST_MARGIN = 0.015  # below an estimate that no refusal has confirmed yet
_UNPROVEN, _EAGER = 12.0, 4.0  # seconds until such a rate climbs, and how much faster
_TELLING = 5.0  # seconds of a cycle that say more than chance does
_LATELY = 3.0  # seconds of late that an estimate is compared with
_STALL = 0.03  # a lower estimate than this below the one before may come of a stall
_REACHED = 0.9  # of a rate that is sought; a client that sends less cannot reach it
_EARLY, _FEW = 3, 10  # refusals right after waits that begin a search; requests that say little
_BELIEVED = 60.0  # seconds in which a rate that the server named is not exceeded


class _Phase(Enum):
    START = "doubling until the first refusal"
    CLIMB = "climbing until the second one"
    SEEK = "narrowing down what lies between"
    HOLD = "staying just under what was found"


class AutoRate:
    """The rate in requests a second, from what was sent, accepted and refused, and when.

    `learned` is the rate that an earlier run found; `burst` how many requests the server allows at
    once, about, and None where that is not known.
    """

    def __init__(self, now: float, *, learned: float | None = None) -> None:
        self._found = learned  # the last estimate
        self._phase = _Phase.HOLD if learned else _Phase.START
        self._base = learned or FIRST
        self._low, self._high = 0.0, math.inf  # the limit lies between, as far as is known
        self._proven = True  # whether a refusal has shown what was found to be right
        self._hinted = False  # whether the base is what the server said
        self._denied = False  # whether it refused what it had said, or anything
        self._margin = _LEAST_MARGIN
        self.burst: float | None = None
        self._start: Cycle | None = None  # the first one, whose bucket was full for sure
        self._cycle = self._last = Cycle(now, 0)
        self._windows = Windows()
        self.windowed = False  # whether a window is known to be why the last one was refused
        self._since = now  # when the present base was chosen
        self._serial = self._since_serial = 0  # requests sent, and before the base was chosen
        self._refused_since: float | None = None  # since when all is refused; None while not
        self._refused_at = now  # when the last refused request left
        self._refused = 0  # since then
        self._paid, self._waited = 0, 0.0  # refusals and seconds of the closure before this cycle
        self._doubted = False  # whether the last refusal spoke of less, and was not believed
        self._early = 0  # cycles in a row too short to tell of the rate
        self._round_trip = 0.1
        self._use = RecentUse(now, FIRST)

    @property
    def learned(self) -> float | None:
        """The rate that was found, for the next run to begin with; None before any refusal."""
        return None if self._phase is _Phase.START else self._base

    def rate(self, now: float) -> float:
        """Requests a second, now."""
        if self._refused_since is not None:
            return self._base
        passed = max(0.0, now - self._since)
        match self._phase:
            case _Phase.START:
                return starting_rate(passed, self._serial, self._use.rate, self._round_trip)
            case _Phase.SEEK:
                return self._base
            case _Phase.CLIMB:
                grown = math.exp(min(_CLIMB * passed, 60.0))
            case _Phase.HOLD:
                eager = 1.0 if self._proven else _EAGER
                climbed = _PROBE * eager * max(0.0, passed - self._hold_seconds())
                grown = 1 + climbed + 500 * climbed**3
        # What is not used is not climbed above.
        rate = self._base * min(grown, max(1.0, 1.5 * self._use.rate / self._base))
        return min(rate, self._windows.room(now, rate))

    def sent(self, now: float) -> int:
        """A request goes out. Returns its number."""
        if not self._serial:  # a quiet period may have come before the first one
            self._cycle, self._since = Cycle(now, 0), now
        elif self._refused_since is None:
            self._cycle.sent(now, self._serial)
        self._serial += 1
        self._use.sent(now, self._serial)
        self._windows.sent(now)
        return self._serial

    def accepted(self, now: float, sent_at: float, *, fresh: bool) -> None:
        """A request was answered, and not told to slow down; `fresh` where it left after the last
        quiet period had begun.
        """
        self._round_trip += 0.1 * (now - sent_at - self._round_trip)
        if self._refused_since is not None:
            if fresh:
                self._learn(sent_at, self._refused_since)
        elif self._phase is _Phase.SEEK:
            self._raise_bound(now)

    def refused(self, sent_at: float, serial: int, rate: float, *, fresh: bool) -> None:
        """The request `serial`, which went out at `rate`, was told to slow down."""
        self._refused += 1
        self._windows.refused(sent_at)
        if not fresh:
            return
        self._refused_at = sent_at
        if self._refused_since is None:
            self._refused_since = sent_at
            self._cycle.close(sent_at, serial - 1)
            self._high = rate
            if self._hinted and self._cycle.seconds > _TELLING:
                self._hinted, self._denied = False, True
            elif self._hinted or self._phase is _Phase.START:
                self._hinted, self._denied = False, True
                self._phase, self._start = _Phase.CLIMB, self._cycle
                self._base, self.burst = _AFTER_FIRST * rate, None

    def retry_in(self, now: float, guess: float) -> float:
        """Seconds to wait unless told: at most `guess`, or to the end of a usual window."""
        return soonest_end(self._cycle.begin, now, guess)

    def others(self, now: float, news: News) -> None:
        """What others did who share the limit; of what was refused fresh ones only."""
        for at, number in news.sent:
            if not self._serial:
                self._cycle, self._since = Cycle(at, 0), at
            self._cycle.insert(at, number)
            self._serial += number
            self._use.sent(now, self._serial)
            self._windows.sent(at, number)
        for at, rate in news.refused:
            self.refused(at, self._cycle.number_at(at), rate, fresh=True)
        if news.accepted and self._refused_since is not None and not news.refused:
            self._learn(now, self._refused_since)

    def hint(self, now: float, rate: float) -> None:
        """Take note that the server says that it allows so many requests a second. That is believed
        until the first refusal; then it is found out as if nothing had been said.
        """
        if self._phase is _Phase.START and self._refused_since is None and not self._denied:
            self._phase, self._hinted, self._since = _Phase.HOLD, True, now
        self._margin = max(self._margin, _HINTED_MARGIN)
        if self._hinted and abs(rate - (self._found or 0.0)) > _AGREE * rate:
            self._adopt(rate)
            self.burst, self._since = self.burst or _HINTED_BURST * rate, now

    def forget_hint(self, now: float) -> None:
        """Forget what the server said: it turned out to mean something else."""
        if self._hinted:
            self._phase, self._hinted, self._since = _Phase.START, False, now
            self._found = self.burst = None

    def paused(self, until: float, *, asked: bool) -> None:
        """Nothing is sent before `until`, which the server `asked` for in whole seconds, or not."""
        if asked:
            self._refused_at = max(self._refused_at, until - 1.0 - self._round_trip)
        self._use.paused(until, self._serial)

    def _learn(self, now: float, since: float) -> None:
        """A request that left `now` is accepted again: learn from the cycle before."""
        cycle = self._cycle
        window = self._windows.told(cycle, self._waited, self._refused_at, now)
        self.windowed = window is not None
        if window is not None:
            if window.seconds == 1.0:
                self._margin = max(self._margin, _FIRST_MARGIN)
            self._phase, self._proven, self.burst = _Phase.HOLD, True, window.burst
            self._adopt(window.number / window.seconds)
        elif cycle is self._start:
            self._base = _AFTER_FIRST * rate_at_end(cycle, self._high)
        elif self._phase is _Phase.HOLD:
            self._adjust(cycle)
        else:
            self._narrow(cycle)
        self._paid, self._waited, self._refused = self._refused, now - since, 0
        self._refused_since = None
        self._cycle = Cycle(now, self._serial - 1)
        self._since, self._since_serial = now, self._serial

    def _narrow(self, cycle: Cycle) -> None:
        """Narrow the bounds of the limit after a refusal while it is sought."""
        sustained = cycle.sustained(self._waited)
        vague = cycle.requests < _FEW or cycle.seconds < max(1.0, 1.5 * self._waited)
        if self._start is not None and not vague:
            bucket = rate_of_both(self._start, cycle, sustained, self._high)
            if bucket is not None:
                self._low = max(sustained, self._lower_bound())
                self._settle(bucket, cycle, proven=False)
                return
        found = max(sustained, _AFTER_FIRST * self._high if cycle.requests < _FEW else 0.0)
        agree = found * (3 * _AGREE if vague else _AGREE)
        if self._found and cycle.requests >= _FEW and abs(found - self._found) < agree:
            self._settle(max(found, self._found), cycle, proven=not vague)
            return
        self._low = self._found = max(_FLOOR, found, self._lower_bound())
        self._seek(cycle)

    def _seek(self, refused: Cycle) -> None:
        """Hold a rate between the bounds, or, where they are close, what was found."""
        self._last = refused
        self._low = min(self._low, self._high)
        if self._high <= (1 + _CLOSE) * self._low:
            self._settle(self._low, refused)
        else:
            self._phase = _Phase.SEEK
            self._base = self._low + _PART * (self._high - self._low)

    def _raise_bound(self, now: float) -> None:
        """Raise the lower bound, once a limit there would have refused what was sent."""
        seconds = now - self._since
        burst = self._last.burst_at(self._low)
        if self._start is not None:
            burst = min(burst, self._start.burst_at(self._low))
        if seconds > 1.0 + 1.2 * max(burst, 1.0) / (self._base - self._low):
            used = (self._serial - self._since_serial) / seconds
            self._low = max(self._low, min(self._base, used))
            if used >= _REACHED * self._base:
                self._seek(self._last)
            elif self.burst is None:  # late timers may be why: what they lose is caught up with
                self.burst = max(1.0, self._last.burst_at(self._low))
            else:
                self._settle(self._low, self._last, proven=False)
                return
            self._since, self._since_serial = now, self._serial

    def _lower_bound(self) -> float:
        """The lower bound so far; 0 where the rate that is refused now lies about as low."""
        return self._low if self._low < (1 - _CLOSE) * self._high else 0.0

    def _settle(self, found: float, cycle: Cycle, *, proven: bool = True) -> None:
        self._phase = _Phase.HOLD
        self._proven = proven
        if not proven:
            self._margin = max(self._margin, _FIRST_MARGIN)
        if cycle.requests:
            self.burst = max(1.0, cycle.burst_at(found))
        self._adopt(found)

    def _adopt(self, found: float) -> None:
        self._found = max(_FLOOR, found)
        self._base = self._found * (1 - self._margin)

    def _hold_seconds(self) -> float:
        """Seconds to hold before climbing, so that refusals stay a small share of all requests."""
        if self._hinted:
            return _BELIEVED
        if not self._proven:
            return _UNPROVEN
        return max(self._waited / _WAITED_SHARE, self._paid / _REFUSED_SHARE / self._base)

    def _adjust(self, cycle: Cycle) -> None:
        """Adjust rate and margin after a refusal while a found rate is held."""
        unproven, self._proven = not self._proven, self._proven or cycle.seconds > _TELLING
        if unproven and cycle.seconds > 3 * self._waited:
            self._margin = _LEAST_MARGIN
        elif cycle.seconds < self._hold_seconds():
            self._margin = min(_MOST_MARGIN, 2 * self._margin)
        else:
            self._margin = max(_LEAST_MARGIN, 0.7 * self._margin)
        sustained = cycle.sustained(self._waited)
        found = self._found or self._base
        if cycle.seconds < 2 * self._waited or cycle.requests < _FEW:
            self._early += 1
            if unproven or self._early >= (_EARLY if self._windows.span is None else 3 * _EARLY):
                self._early = 0
                self._start = self.burst = None
                self._windows.forget()
                self._low = max(sustained, self._lower_bound())
                self._seek(cycle)
                return
        else:
            self._early = 0
            span = self._windows.span
            if span is None:
                found = self._compare(cycle, sustained, confirmed=not unproven)
            elif cycle.seconds >= span:
                found = cycle.within(span) / span
        self._adopt(found)

    def _compare(self, cycle: Cycle, sustained: float, *, confirmed: bool) -> float:
        """The limit by this refusal, by what was found before, and by what was sent lately."""
        found = max(sustained, (1 - _CLOSE) * self._high)
        if self.burst is not None:
            found = rate_for_burst(cycle, self.burst, sustained, self._high)
        known = self._found or found
        self._doubted = (
            confirmed
            and not self._doubted
            and cycle.seconds > _TELLING
            and found < (1 - _STALL) * known
        )
        if self._doubted:
            return known
        lately = cycle.within(_LATELY) / _LATELY
        if (
            not confirmed
            and abs(found - known) > _AGREE * found
            and sustained < (1 - _STALL) * known
            and cycle.seconds > 3 * _LATELY
            and lately > (1 + _STALL) * found
        ):  # neither bucket fits: what was accepted lately is a bound from below
            self.burst = max(1.0, cycle.burst_at(lately))
            return lately
        return found
