"""The one place where every request waits for its turn.

A lane acquires a grant (None: the run stops), commits its intent, asks `grant.still_valid()`, and
waits for its departure where the rate is being found. Where a quiet period began meanwhile, it
withdraws the grant and settles the batch without outcomes. Else it sends, and hands the verdict to
`on_verdict`; a Stop ends the run. Every grant is given back by exactly one call of `on_verdict` or
`withdraw`. The pacer holds the rate, set or found, the quiet periods, and the concurrency that the
destination's health allows; who comes first is served first.

Everything is called from the event loop's thread. The clock is the event loop's own, so tests
run in virtual time; `wall` gives seconds since the epoch, and is used only where a moment comes
from outside: a stored quiet period, an HTTP date.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import anyio

from backfill.core.model import Flow, Stop, Verdict
from backfill.deliver.pacing.budget import Budget
from backfill.deliver.pacing.departures import Departures
from backfill.deliver.pacing.found_limits import FoundLimits
from backfill.deliver.pacing.health import Health, come_back
from backfill.deliver.pacing.rate_headers import read_allowance
from backfill.deliver.pacing.rate_limiter import RateLimiter
from backfill.deliver.pacing.retry_backoff import Backoff
from backfill.deliver.pacing.turns import Grant, Turns

__all__ = ["Grant", "Pacer"]

_UNAVAILABLE = 503
_TOLD = 0.5  # seconds after a wait until what others did before it has been told
_OWN = 1.0  # seconds by which a wait that others tell of may end after this one, and be the same


class Pacer:
    """One budget for all lanes of a run.

    `rate` is in requests a second; None finds it, beginning with `learned` where an earlier run
    found one. `quiet_until` is what an earlier run stored, in seconds since the epoch.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        health: Health,
        learned: float | None = None,
        quiet_until: float = 0.0,
        clock: Callable[[], float] = anyio.current_time,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        shared: Budget | None = None,
    ) -> None:
        now = clock()
        self.generation = 0  # of quiet periods
        self.quiet_until = quiet_until  # seconds since the epoch; store it when it changes
        self.quiet_asked_at = 0.0  # when that was asked for; store it, too
        # Called where another run was asked to wait, with a Stop where that is too long.
        self.heard: Callable[[Stop | None], None] = lambda _: None
        self._health = health
        self._clock = clock
        self._wall = wall
        self._found = FoundLimits(now, learned=learned) if rate is None else None
        self._shared = shared
        self._led = True  # whether the rate was this run's to find, when it was looked last
        wait = max(0.0, quiet_until - wall())
        self._not_before = now + wait  # when the last quiet period ended or ends
        self._open_since = now  # when the one before it had ended
        self._turn = now  # when the next turn in the shared budget may come
        self._fixed = rate if rate is not None else math.inf
        self.departures = Departures(
            RateLimiter.for_rate(rate, now), self._found, clock=clock, pace=lambda: self.rate
        )
        self.paused = False
        # Jitter needs no secrecy, only independence between processes.
        self._backoff = Backoff(rng or random.Random())  # noqa: S311
        self._probing = False  # after a guessed wait one request finds out if it was enough
        self._turns = Turns()
        self._end = anyio.Event()  # set when the run is to stop
        self.departures.limiter.quiet(self._not_before)

    @property
    def rate(self) -> float:
        """Requests a second, as they are paced now."""
        if self._found is None:
            return self._fixed
        led = self._shared is not None and self._shared.others and not self._shared.leads
        told = self._shared.rate if led and self._shared else None
        return told or self._found.rate(self._clock())

    @property
    def stopped(self) -> bool:
        return self._turns.over

    @property
    def out(self) -> int:
        """How many grants were not given back yet."""
        return self.departures.waiting + self.departures.under_way

    @property
    def others(self) -> int:
        """How many other runs on this machine share the limit."""
        return self._shared.others if self._shared is not None else 0

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for a turn to send."""
        return self._turns.crowded

    @property
    def learned(self) -> float | None:
        """The rate that was found, in requests a second, for the next run to begin with."""
        return None if self._found is None else self._found.learned

    def begin(self) -> Stop | None:
        """A Stop where an earlier run, or one that shares the limit, is to wait for too long."""
        other = self._hear_quiet()
        stop = self._health.asked(self.quiet_until - self._wall(), other)
        return come_back(stop, self.quiet_until)

    def asked(self, seconds: float, other: str | None = None) -> Stop | None:
        """A Stop where the destination wants quiet for longer from now than `max_wait` allows."""
        return come_back(self._health.asked(seconds, other), self._wall() + seconds)

    def acquire(self) -> Awaitable[Grant | None]:
        """Wait for the turn to send one request. None once the run is to stop."""
        return self._turns.take(self.try_acquire, self.until_next)

    def try_acquire(self) -> Grant | None:
        """The permission to send a request, or None. Passes by those who wait in line."""
        if self.stopped or self.paused or self.out >= self._concurrency_limit():
            return None
        now, rate = self._clock(), self.rate
        if not (self.departures.due if self._alone(now, rate) else self._draw)(now, rate):
            return None
        left = self.departures.granted()
        return Grant(self._holds, self.generation, at=now, rate=rate, left=left)

    def until_next(self) -> float:
        """Seconds until there may be a permission; infinite while one must be given back first."""
        if self.paused or self.out >= self._concurrency_limit():
            return math.inf
        now = self._clock()
        if self._shared is not None and self._shared.draws:
            return max(0.0, self._turn - now, self._not_before - now)
        return self.departures.until_due(now, self.rate)

    def _holds(self, generation: int) -> bool:
        """Whether what was granted in a generation of quiet periods may still be used."""
        if self._shared is not None:
            self._hear_quiet()
        return generation == self.generation and not self._turns.over

    def withdraw(self, grant: Grant) -> None:
        """The request was not sent after all."""
        self._give_back(grant)

    def on_verdict(self, grant: Grant, verdict: Verdict) -> Stop | None:
        """A request has ended: give its grant back and do what the answer asks for.

        Returns a Stop where the run should end because the destination is not available.
        """
        self._give_back(grant)
        now = self._clock()
        wait = None if verdict.flow is Flow.DELIVERED else verdict.wait(self._wall())
        match verdict.flow:
            case Flow.DELIVERED | Flow.FAILED | Flow.ISOLATE | Flow.SPLIT:
                self._health.answered()
                if grant.generation == self.generation:
                    self._backoff.reset()
                    if self._probing:
                        self._probing = False
                        # Nothing is stored up while one is out alone.
                        self.departures.limiter.quiet(now)
                if self._shared is not None:
                    self._shared.accepted()
                if self._found is not None:
                    self._found.accepted(grant, now, fresh=grant.generation == self.generation)
                return None
            case Flow.AGAIN if verdict.throttled and verdict.http_status != _UNAVAILABLE:
                stop = self._health.throttled(now, wait=wait or 0.0)
                self._slow_down(grant, now)
                self._hold(grant, now, wait)
            case Flow.AGAIN:
                stop = self._health.unavailable(now, verdict.reason, wait=wait or 0.0)
                if verdict.throttled or wait or self._health.troubled:
                    self._hold(grant, now, wait)
            case Flow.AMBIGUOUS | Flow.UNKNOWN:
                stop = self._health.ambiguous(verdict.reason, wait=wait or 0.0)
                if wait or self._health.troubled:
                    self._hold(grant, now, wait)
            case Flow.STOP:
                return None
        if stop is not None and wait is not None:
            return come_back(stop, self.quiet_until)
        return stop

    def listen(self, headers: Mapping[str, str]) -> None:
        """Take note of what a reply's headers say of the rate limit; their names are lower case.

        A set rate is what the user wants, whatever the server says.
        """
        if self._found is not None:
            said = read_allowance(headers, self._wall())
            if said is not None:
                self._found.listen(self._clock(), said)

    def quiet(self, seconds: float) -> None:
        """Grant nothing for so long from now, and call back what was granted and not sent."""
        now = self._clock()
        if self.departures.limiter.quiet(now + seconds):
            self._call_back()
            # The later end by the loop's clock; the wall clock may have been set back meanwhile.
            self.quiet_asked_at = self._wall()
            self.quiet_until = self.quiet_asked_at + seconds
            if now >= self._not_before:
                self._open_since = self._not_before
            self._not_before = now + seconds
            if self._shared is not None:
                self._shared.quiet(seconds)

    def _hear_quiet(self) -> str | None:
        """Join a quiet period that another run was asked for; says which other."""
        if self._shared is None or not self._shared.draws:
            return None
        seconds, own = self._shared.quiet_left(), max(0.0, self._not_before - self._clock())
        if seconds <= own + 0.001:
            return None
        # Own waits of earlier runs come back, too, at an end that is later by some milliseconds.
        other = self._shared.other if seconds > own + _OWN else None
        self.quiet(seconds)
        if self._found is not None:
            self._found.paused(self._not_before, asked=True)
        self.heard(self.asked(seconds, other))
        return other

    def change(self, rate: float | None, concurrency: int) -> None:
        """Go on at another rate, None to find it, and with so many requests out at most."""
        now = self._clock()
        if rate is None and self._found is None:
            self._found = FoundLimits(now, learned=self._fixed)
        elif rate is not None:
            self._found = None
        before = self.departures.limiter
        self.departures.limiter = RateLimiter.for_rate(rate, now)
        self.departures.found = self._found
        self._fixed = rate if rate is not None else math.inf
        if self._shared is not None:
            self._shared.find(find=rate is None)
        self.departures.limiter.quiet(now + before.wait(now, math.inf))
        self._health.allow(concurrency)
        self.look_again()

    def pause(self, *, paused: bool) -> None:
        """Grant nothing until told to go on, and call back what was granted and not sent."""
        if paused and not self.paused:
            self._call_back()
        self.paused = paused
        self._turns.look_again()

    def look_again(self) -> None:
        """Have those who wait in front see whether it is their turn by now."""
        self.departures.look_again()
        self._turns.look_again()

    async def rest(self, seconds: float) -> None:
        """Let one lane wait so long, while the others go on; no longer than the run does."""
        with anyio.move_on_after(seconds):
            await self._end.wait()

    def stop(self) -> None:
        """End the run's waits: who waits is told None."""
        self._end.set()
        self.departures.end()
        self._turns.end()

    def _alone(self, now: float, rate: float) -> bool:
        """Whether no other run shares the limit; takes note of what they did."""
        if self._shared is None:
            return True
        self._hear_quiet()
        self._shared.look(now, rate)
        news, leads = self._shared.news(), self._shared.leads or not self._shared.others
        if self._found is not None:
            if leads and not self._led:
                self._found.lead(now, self._shared.rate)
            elif leads:
                # While it is quiet, those that left before it began are news; later they are not.
                since = self._open_since if now < self._not_before else self._not_before
                fresh = tuple(each for each in news.refused if each[0] >= since)
                again = news.accepted if now > self._not_before + _TOLD else 0
                self._found.others(now, replace(news, accepted=again, refused=fresh))
        self._led = leads
        return not self._shared.draws

    def _draw(self, now: float, rate: float) -> bool:
        """Take a turn in the budget that other runs draw on, too."""
        if self._shared is None or now < self._not_before:
            return False
        wait = self._shared.draw(now, rate)
        self._turn = now + wait
        return wait == 0

    def _concurrency_limit(self) -> int:
        return 1 if self._probing else self._health.concurrency_limit

    def _call_back(self) -> None:
        """What was granted and has not left is not to be sent."""
        self.generation += 1
        self.departures.look_again()

    def _give_back(self, grant: Grant) -> None:
        if grant.given_back:
            raise RuntimeError("a grant is given back once")
        grant.given_back = True
        self.departures.ended(grant)
        self._turns.look_again()

    def _slow_down(self, grant: Grant, now: float) -> None:
        """Answers to requests from before the last quiet period say nothing new of the rate."""
        if self._shared is not None and not self._led:
            self._shared.refused(grant.at, grant.rate)
            self._shared.look(now, self.rate)  # before anybody hears of the wait
        if self._found is not None:
            fresh = grant.generation == self.generation
            self._found.refused(grant, now, fresh=fresh, alone=not self.others)

    def _hold(self, grant: Grant, now: float, wait: float | None) -> None:
        fresh = grant.generation == self.generation
        # With a rate of our own finding, one request finds out whether the wait was enough.
        self._probing |= fresh and (wait is None or self._found is not None)
        if wait is not None:
            self.quiet(wait)
        elif fresh:
            guess = self._backoff.next()
            self.quiet(guess if self._found is None else self._found.retry_in(now, guess))
        if self._found is not None:
            until = now + self.departures.limiter.wait(now, math.inf)
            self._found.paused(until, asked=wait is not None)
