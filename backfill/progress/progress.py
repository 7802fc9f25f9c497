"""Progress for people: a bar in a terminal or a notebook, a line now and then elsewhere.

The program tells where it stands as often as it likes; a thread of the face's own shows it a few
times a second, so that a wait is seen to pass while nothing else happens.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from types import TracebackType
from typing import Self

from backfill.core.terminal import duration
from backfill.deliver import Settings, Snapshot, StopRequest
from backfill.jobs.job import Job
from backfill.progress.bars import Bar, Moment, draw, is_interactive
from backfill.progress.repeating import Repeating
from backfill.progress.time_left import TimeLeft

__all__ = ["DeliveryBar", "PlanBar"]

log = logging.getLogger("backfill.progress.progress")

_PATIENCE = 1.0  # seconds; what is over sooner shows no bar
_REFRESH = 0.2  # seconds between two pictures of a bar
_FIRST, _LATER = 15.0, 300.0  # seconds between two lines where there is no bar: at first, at most


class _Display:
    """One bar at a time. `lines` writes a line now and then where nobody could see a bar."""

    def __init__(self, *, quiet: bool, lines: bool) -> None:
        self._lively = not quiet and is_interactive()
        self._lines = lines and not quiet and not self._lively
        self._bar: Bar | None = None
        self._moment: Moment | None = None
        self._lock = threading.Lock()
        self._began = self._said = time.monotonic()
        self._repeating = Repeating(self._watch, _REFRESH, name="backfill-progress")

    def __enter__(self) -> Self:
        if self._lively or self._lines:
            self._repeating.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._repeating.stop()
        with contextlib.suppress(OSError, ValueError):
            self._clear()

    def _now(self) -> Moment | None:
        """What is to be shown at this moment."""
        return self._moment

    def _clear(self) -> None:
        with self._lock:
            bar, self._bar = self._bar, None
            if bar is not None:
                bar.close()

    def _watch(self) -> None:
        # A terminal that went away is no reason to end what it was watching.
        with contextlib.suppress(OSError, ValueError):
            self._picture()

    def _picture(self) -> None:
        moment, now = self._now(), time.monotonic()
        if moment is None or now - self._began < _PATIENCE:
            return
        if self._lines:
            if now - self._said >= min(max(_FIRST, (now - self._began) / 20), _LATER):
                self._said = now
                sys.stderr.write(f"{_line(moment)}\n")
                sys.stderr.flush()
            return
        with self._lock:
            if self._bar is None:
                self._bar = draw(moment)
            else:
                self._bar.show(moment)


class PlanBar(_Display):
    """The phases of a plan. The object itself is the `Progress` callable."""

    def __init__(self, *, quiet: bool = False, lines: bool = False) -> None:
        super().__init__(quiet=quiet, lines=lines)

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        before = self._moment
        if before is None or before.label != phase:
            log.debug("%s", phase)
            self._moment = None
            self._clear()
            self._began = time.monotonic()
        unit = "bytes" if phase.startswith("reading") else "rows"
        of = f" of {total:,}" if total else ""
        self._moment = Moment(phase, done, total, f"{done:,}{of} {unit}" if done or of else "…")

    def _now(self) -> Moment | None:
        """A phase of which nothing is known but its size tells how long it has taken."""
        moment = self._moment
        if moment is None or moment.done or not moment.total:
            return moment
        size = moment.amount.partition(" of ")[2]
        taken = duration(time.monotonic() - self._began)
        return Moment(moment.label, 0, moment.total, f"{size}, for {taken}")


class DeliveryBar(_Display):
    """The course of a delivery, from where the job stands. The object itself is the observer.

    With the run's `settings` the bar ends where the run's limits do; with its `halt` it says
    that the run comes to its end.
    """

    def __init__(
        self,
        job: Job,
        *,
        settings: Settings | None = None,
        halt: StopRequest | None = None,
        quiet: bool = False,
        lines: bool = False,
    ) -> None:
        super().__init__(quiet=quiet, lines=lines)
        self._ready = job.manifest.ready
        self._label = job.directory.stem
        self._limit = settings.limit if settings else None
        self._duration = settings.max_duration if settings else None
        self._halt = halt
        self._latest: Snapshot | None = None
        self._start = 0
        self._time_left = TimeLeft()
        self._quiet_until = 0.0

    def __call__(self, now: Snapshot) -> None:
        """Take note of a moment."""
        settled = self._ready - now.pending
        if self._latest is None:
            self._start = settled
            self._began = time.monotonic()
        quiet = now.quiet_until > time.time()
        if quiet and now.quiet_until > self._quiet_until:
            log.info("quiet for %.0f s", now.quiet_until - time.time())
        self._quiet_until = now.quiet_until
        self._time_left.add(
            time.monotonic(), settled, idle=bool(quiet or now.paused or now.waits_for)
        )
        self._latest = now

    def _now(self) -> Moment | None:
        now = self._latest
        if now is None:
            return None
        settled = self._ready - now.pending
        end = self._ready if self._limit is None else min(self._ready, self._start + self._limit)
        amount = f"{settled:,} of {end:,}"
        left, over = self._left(end - settled, now), self._over_in()
        if left is not None:
            amount += f", {duration(left)} left"
        if over is not None and (left is None or over < left):
            amount += f", stops in {duration(over)}"
        return Moment(self._label, settled, end, amount, self._details(now))

    def _left(self, records: int, now: Snapshot) -> float | None:
        """Seconds that so many records need, by the run's pace and the quiet to be kept."""
        left = self._time_left.time_for(records)
        return None if left is None else left + max(0.0, now.quiet_until - time.time())

    def _over_in(self) -> float | None:
        """Seconds until the run stops at its `max_duration`, None without one."""
        if self._duration is None:
            return None
        return max(0.0, self._duration - (time.monotonic() - self._began))

    def _details(self, now: Snapshot) -> str:
        message = []
        if self._halt is not None and self._halt.kind is not None:
            message.append(f"finishing {now.in_flight:,} in flight")
        if now.paused:
            message.append("paused")
        if now.waits_for:
            message.append(f"waiting for {now.waits_for}")
        wait = now.quiet_until - time.time()
        if wait > 0:
            message.append(f"quiet for {duration(wait)}")
        of = f" of {_rate(now.limit)}" if now.limit else ""
        message.append(f"{_rate(now.rate)}{of} requests/s")
        message += [
            f"{count:,} {name}"
            for name, count in (
                ("failed", now.failed),
                ("unknown", now.unknown),
                ("throttled", now.throttled),
            )
            if count
        ]
        return ", ".join(message)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}".removesuffix(".0")


def _line(moment: Moment) -> str:
    details = f"; {moment.details}" if moment.details else ""
    return f"{moment.label}: {moment.amount}{details}"
