"""What a run finds out about the limits of a server, by its answers and by its words. Pure."""

from __future__ import annotations

from backfill.deliver.pacing.auto_rate import AutoRate
from backfill.deliver.pacing.budget import News
from backfill.deliver.pacing.other_limits import OtherLimits
from backfill.deliver.pacing.rate_headers import Allowance, HintedRate
from backfill.deliver.pacing.rate_limiter import RateLimiter
from backfill.deliver.pacing.turns import Grant

__all__ = ["FoundLimits"]


class FoundLimits:
    """The rate that is being found, beginning with `learned` where an earlier run found one, and
    what is limited beside it.
    """

    def __init__(self, now: float, *, learned: float | None = None) -> None:
        self._auto = AutoRate(now, learned=learned)
        self._other = OtherLimits()
        self._hints = HintedRate()

    @property
    def learned(self) -> float | None:
        """The rate that was found, in requests a second, for the next run to begin with."""
        return self._auto.learned

    @property
    def most_out(self) -> float:
        """How many requests at a time the server takes, as far as is known."""
        return self._other.most_out

    def rate(self, now: float) -> float:
        """Requests a second, now."""
        return min(self._auto.rate(now), self._other.fastest)

    def shape(self, limiter: RateLimiter, rate: float) -> None:
        """Have requests follow each other as closely as the server allows."""
        limiter.allow(self._auto.burst, rate, gap=self._other.gap)

    def sent(self, now: float) -> int:
        """A request goes out. Returns its number."""
        return self._auto.sent(now)

    def accepted(self, grant: Grant, now: float, *, fresh: bool) -> None:
        """A request was answered, and not told to slow down; `fresh` where it was granted after the
        last quiet period had begun.
        """
        self._auto.accepted(now, grant.at, fresh=fresh)
        if self._auto.windowed:
            self._other.explained()
        self._other.accepted(now, grant.out, grant.gap)

    def refused(self, grant: Grant, now: float, *, fresh: bool, alone: bool) -> None:
        """A request was told to slow down. What others that share the limit had out with it is not
        known: where a run is not `alone`, it was the rate.
        """
        known = self._other.known
        if alone and self._other.refused(now, grant.out, grant.gap, fresh=fresh):
            if not known:
                self._auto = AutoRate(now)  # what it found was no rate
        else:
            self._auto.refused(grant.at, grant.number, grant.rate, fresh=fresh)

    def listen(self, now: float, said: Allowance) -> None:
        """Take note of what a reply's headers say."""
        hinted = self._hints.listen(now, said)
        if hinted is not None:
            self._auto.hint(now, hinted)
        elif self._hints.useless:
            self._auto.forget_hint(now)

    def others(self, now: float, news: News) -> None:
        """What others did who share the limit; of what was refused fresh ones only."""
        self._auto.others(now, news)

    def lead(self, now: float, rate: float | None) -> None:
        """The one that found the `rate` for all is gone, and it is this run's to find."""
        self._auto = AutoRate(now, learned=rate)

    def paused(self, until: float, *, asked: bool) -> None:
        """Nothing is sent before `until`, which the server `asked` for in whole seconds, or not."""
        self._auto.paused(until, asked=asked)

    def retry_in(self, now: float, guess: float) -> float:
        """Seconds to wait where the server does not say how long, at most `guess`."""
        return self._auto.retry_in(now, guess)
