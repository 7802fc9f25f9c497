"""Whether the destination is well: how many requests may be out at once, and when to give up.

Pure: every method takes the time, in seconds of any clock that does not jump.

The first request goes alone. Every definite answer lets one more be out, so the limit doubles
with every round trip. An answer that leaves its records unknown halves it; three of them in a
row leave one request at a time. So an outage costs few unknown records, at the start and later.
"""

from __future__ import annotations

from dataclasses import replace

from backfill.core.local_time import local_time
from backfill.core.model import Stop, StopKind

__all__ = ["DOWN_AFTER", "Health", "come_back"]

_WARY = 3  # bad answers in a row after which one request at a time is enough
DOWN_AFTER = 10  # ambiguous answers in a row after which the destination counts as down


class Health:
    """A state machine over the answers of one run.

    `patience` is how long, in seconds, the destination may refuse without a success between;
    `max_wait` the longest wait, in seconds, that it may ask for.
    """

    def __init__(self, *, concurrency: int, patience: float, max_wait: float) -> None:
        self.concurrency_limit = 1  # requests that may be out at once
        self._concurrency = concurrency
        self._patience = patience
        self._max_wait = max_wait
        self._ambiguous = 0  # in a row
        self._bad = 0  # answers without success in a row, throttling left out
        self._since: float | None = None  # when the present refusals began
        self._slowed: float | None = None  # when the present throttling began
        self._excused = 0.0  # seconds of them that the destination asked us to wait

    def allow(self, concurrency: int) -> None:
        """Let so many requests be out at once at most, from now on."""
        self._concurrency = concurrency
        self.concurrency_limit = min(self.concurrency_limit, concurrency)

    @property
    def troubled(self) -> bool:
        """Whether the answers of late give no reason to go on at full speed."""
        return self._bad >= _WARY

    def answered(self) -> None:
        """The destination gave a definite answer: it took the records, or refused them."""
        self._ambiguous = self._bad = 0
        self._since = self._slowed = None
        self._excused = 0.0
        self.concurrency_limit = min(self._concurrency, self.concurrency_limit + 1)

    def ambiguous(self, reason: str, *, wait: float = 0.0) -> Stop | None:
        """Nobody can say what became of the records. `wait` is what was asked for, in seconds."""
        self._ambiguous += 1
        self._narrow()
        stop = self.asked(wait)
        if stop is not None:
            return stop
        if self._ambiguous < DOWN_AFTER:
            return None
        return Stop(
            StopKind.UNAVAILABLE,
            f"the last {self._ambiguous} requests had no clear answer ({reason})",
        )

    def unavailable(self, now: float, reason: str, *, wait: float = 0.0) -> Stop | None:
        """The destination was not reached, or said that it is not there; nothing was sent.

        `wait` is how many seconds it asked us to wait; that time is not held against it, up to
        `max_wait` in all.
        """
        stop = self.asked(wait)
        if stop is not None:
            return stop
        if self._since is None:
            self._since = now
        self._narrow()
        lasted = now - self._since - min(self._excused, self._max_wait)
        self._excused += wait
        if lasted < self._patience:
            return None
        return Stop(
            StopKind.UNAVAILABLE,
            f"no request succeeded for {now - self._since:.0f} s ({reason})",
        )

    def throttled(self, now: float, *, wait: float = 0.0) -> Stop | None:
        """The destination told us to slow down: that is no sign of bad health.

        But it is one to be told nothing else for longer than `max_wait`, in one piece or in many.
        """
        stop = self.asked(wait)
        if stop is not None:
            return stop
        if self._slowed is None:
            self._slowed = now
        lasted = now - self._slowed
        if lasted <= max(self._max_wait, self._patience):
            return None
        return Stop(
            StopKind.UNAVAILABLE,
            f"the destination has told every request for {lasted:.0f} s to slow down, and max_wait"
            f" is {self._max_wait:.0f} s",
        )

    def asked(self, wait: float, other: str | None = None) -> Stop | None:
        """A `wait`, in seconds, was asked for, of an `other` one if not of this run. One above
        `max_wait` ends the run; the caller knows when to come back.
        """
        if wait <= self._max_wait:
            return None
        asks = "asks" if other is None else f"asked {other}"
        return Stop(
            StopKind.UNAVAILABLE,
            f"the destination {asks} to wait {wait:.0f} s, and max_wait is {self._max_wait:.0f} s",
        )

    def _narrow(self) -> None:
        self._bad += 1
        self.concurrency_limit = 1 if self._bad >= _WARY else max(1, self.concurrency_limit // 2)


def come_back(stop: Stop | None, at: float) -> Stop | None:
    """A stop with the moment, in seconds since the epoch, from which on it makes sense to go on."""
    if stop is None:
        return None
    message = f"{stop.message}; come back at {local_time(at)}"
    return replace(stop, message=message, come_back_at=at)
