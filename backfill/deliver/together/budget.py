"""The pace of a run that several processes deliver: drawn from the job's ledger, in small chunks.

It stands where a lone run's own arithmetic stands. A task draws every quarter of a second, and at
once where a chunk is used up and more is wanted; permissions are handed out from what was drawn.
A quiet period that any of them was asked for calls the chunks of all back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.to_thread

from backfill.core.model import Flow, Stop, StopKind, Tick, Verdict
from backfill.deliver.pacing.budget import News
from backfill.deliver.run.stop_messages import time_over
from backfill.deliver.together.fair_share import Line
from backfill.ledger.sharing import Allowance, Report, Terms

__all__ = ["JobBudget", "JobLimit"]

_EVERY = 0.25  # seconds between two draws
_SOONEST = 0.02  # seconds after a draw until what is wanted at once may be drawn
_LATE, _LATE_FOUND = 0.1, 0.02  # seconds, or a fifth of the spacing: what is unused then expires
_FEWEST, _MOST = 4, 4096  # requests that are asked for at least, and at most
_SAME = 0.001  # seconds by which two ends of one quiet period may differ
_DEFINITE = frozenset({Flow.DELIVERED, Flow.FAILED, Flow.ISOLATE, Flow.SPLIT})


class Draws(Protocol):
    """Where permissions are drawn from."""

    def draw(self, report: Report) -> Allowance: ...


class JobBudget:
    """What this process may send of a run that has `terms`. It is a pacer's shared budget.

    `clock` is the pacer's, and `monotonic` the clock of the allowances.
    """

    draws = True
    other = "another process that delivers this job"

    def __init__(
        self,
        budget: Draws,
        terms: Terms,
        *,
        batch: int,
        clock: Callable[[], float] = anyio.current_time,
        monotonic: Callable[[], float],
    ) -> None:
        self.leads = False
        self.others = 0
        self.rate: float | None = terms.rate
        self.awake: Callable[[], None] = lambda: None  # called when there may be permissions
        self.asked: Callable[[float], Stop | None] = lambda _: None  # a quiet that is too long
        self.waits: Callable[[], bool] = lambda: False  # whether this process waits for a bucket
        self.limit = JobLimit(self._draw_soon, limited=terms.limit is not None, batch=batch)
        self._budget, self._terms = budget, terms
        self._clock, self._monotonic = clock, monotonic
        self._chunk: deque[tuple[float, float]] = deque()  # when each may go, and when it expires
        self._generation = 0
        self._quiet_until = -math.inf  # by `clock`
        self._hush: float | None = None
        self._own_rate = terms.rate
        self._kick = anyio.Event()
        self._drawn_at = -math.inf
        self._spacing = 0.0 if terms.rate is None else 1 / terms.rate
        self._wanted, self._used, self._missed = _FEWEST, 0, False
        self._sent = self._accepted = self._delivered = self._failed = 0
        self._refused: list[tuple[float, float]] = []
        self._answered, self._ambiguous = False, 0
        self._heard = 0
        self._line = Line()
        self._all = (0, 0)  # sent and accepted by all, as it was told last
        self._own = [0, 0]  # sent and accepted by this process, as far as it was told
        self._news: list[News] = []

    # --- what a pacer asks -------------------------------------------------------------------

    def find(self, *, find: bool) -> None:
        """Who leads says the rate, found or set."""

    def look(self, now: float, rate: float) -> None:
        """Take note of this process's own rate, which holds where it leads."""
        del now
        self._own_rate = rate if math.isfinite(rate) else None

    def draw(self, now: float, rate: float) -> float:
        """Take a permission: 0, or the seconds until one may be there."""
        self.look(now, rate)
        while self._chunk and self._chunk[0][1] < now:
            self._chunk.popleft()
        if self._chunk:
            begins = self._chunk[0][0]
            if begins > now:
                return begins - now
            self._chunk.popleft()
            self._used += 1
            self._sent += 1
            return 0.0
        self._missed = True
        self._draw_soon()
        return _EVERY

    def accepted(self) -> None:
        self._accepted += 1

    def refused(self, sent_at: float, rate: float) -> None:
        self._refused.append((sent_at, rate))

    def quiet(self, seconds: float) -> None:
        """Nobody sends for so many seconds from now: told to all at once."""
        self._chunk.clear()
        if seconds > self.quiet_left() + _SAME:
            self._quiet_until = self._clock() + seconds
            self._hush = seconds
            self._kick.set()

    def quiet_left(self) -> float:
        return max(0.0, self._quiet_until - self._clock())

    def line(self) -> Line:
        """Who delivers, as of the last draw."""
        return self._line

    def news(self) -> News:
        found, self._news = self._news, []
        return News.of(found)

    def close(self) -> None:
        """The ledger knows of the end."""

    # --- what a run tells --------------------------------------------------------------------

    def note(self, verdict: Verdict) -> None:
        """Take note of what an answer says of the destination."""
        if verdict.flow in _DEFINITE:
            self._answered, self._ambiguous = True, 0
        elif verdict.flow in (Flow.AMBIGUOUS, Flow.UNKNOWN):
            self._ambiguous += 1

    def count(self, tick: Tick) -> None:
        """Take note of records that came to rest."""
        self._delivered += tick.delivered
        self._failed += tick.failed

    # --- the draws ---------------------------------------------------------------------------

    async def keep(self, stopped: Callable[[Stop], None]) -> None:
        """Draw until cancelled; `stopped` is called where all are to stop. Raises LedgerError.

        A limit that is spent stops nobody: what was reserved of it is sent.
        """
        while True:
            # Also where the run ends meanwhile: what is not known to be in hand is not given back.
            with anyio.CancelScope(shield=True):
                stop = self.apply(await anyio.to_thread.run_sync(self._budget.draw, self.report()))
            if stop is not None:
                stopped(stop)
            with anyio.move_on_after(_EVERY):
                await self._kick.wait()
            self._kick = anyio.Event()
            wait = self._drawn_at + _SOONEST - self._clock()
            if wait > 0 and self._hush is None:
                await anyio.sleep(wait)

    def hear(self, generation: int, seconds: float) -> None:
        """A quiet period was announced: nothing that was drawn before may be sent."""
        if generation != self._generation:
            self._chunk.clear()
            self._generation = generation
            self._quiet_until = max(self._quiet_until, self._clock() + seconds)

    def report(self, *, last: bool = False) -> Report:
        """What is new since the last one; what is told here is not told again."""
        now = self._clock()
        if self._missed:
            self._wanted = min(max(_FEWEST, 2 * self._wanted), _MOST)
        elif self._used or self._spacing < _EVERY:
            self._wanted = max(_FEWEST, 2 * self._used)
        else:
            self._wanted = 0  # at a slow rate a turn in idle hands would keep the others waiting
        found = Report(
            sent=self._sent,
            accepted=self._accepted,
            refused=tuple((now - at, rate) for at, rate in self._refused),
            delivered=self._delivered,
            failed=self._failed,
            answered=self._answered,
            ambiguous=self._ambiguous,
            given_back=self.limit.empty(),
            rate=self._own_rate,
            heard=self._heard,
            hush=self._hush,
            waits=not last and self.waits(),
            wanted=0 if last else max(0, self._wanted - len(self._chunk)),
            records=0 if last else self.limit.wanted(),
        )
        self._own[0] += self._sent
        self._own[1] += self._accepted
        self._sent = self._accepted = self._delivered = self._failed = 0
        self._refused, self._hush = [], None
        self._answered, self._ambiguous = False, 0
        self._used, self._missed = 0, False
        return found

    def apply(self, allowance: Allowance) -> Stop | None:
        """Take what was drawn. Returns a Stop where nobody is to send any more."""
        now, shift = self._clock(), self._clock() - self._monotonic()
        self._drawn_at, self._spacing = now, allowance.spacing
        if allowance.generation != self._generation:
            self._chunk.clear()
            self._generation = allowance.generation
        quiet = allowance.quiet_until - self._monotonic()
        if quiet > 0:
            self._quiet_until = max(self._quiet_until, now + quiet)
        # A rate that is being found is kept evenly, for servers that allow no burst.
        late = max(_LATE_FOUND if self._terms.rate is None else _LATE, allowance.spacing / 5)
        for number in range(allowance.requests):
            begins = allowance.begins + shift + number * allowance.spacing
            # What comes as it likes has no moment of its own: it is good until the next draws.
            self._chunk.append((begins, begins + (late if allowance.spacing else 4 * _EVERY)))
        self.leads, self.others = allowance.leads, allowance.others
        self._line = Line(allowance.place, allowance.others + 1, waiting=allowance.waiting)
        self.rate = allowance.rate
        self._hear(allowance, shift)
        self.limit.fill(allowance.records, spent=allowance.stop == "limit")
        self.awake()
        return self._stop(allowance) or (self.asked(quiet) if quiet > 0 else None)

    def _hear(self, allowance: Allowance, shift: float) -> None:
        """Take note of what the others did."""
        now = (allowance.sent - self._own[0], allowance.accepted - self._own[1])
        refused = tuple((at + shift, rate) for at, rate in allowance.refusals)
        self._heard = allowance.heard
        number = now[0] - self._all[0]
        sent = ((self._clock(), number),) if number else ()
        self._news.append(News(sent, now[1] - self._all[1], refused))
        self._all = now

    def _stop(self, allowance: Allowance) -> Stop | None:
        terms = self._terms
        match allowance.stop:
            case "time":
                return time_over(terms.seconds or 0)
            case "errors":
                failed, settled = allowance.failed, allowance.settled
                most = terms.max_errors
                allowed = f"{most:,}" if most is not None else f"{(terms.max_share or 0) * 100:g}%"
                return Stop(
                    StopKind.ERRORS,
                    f"{failed:,} of {settled:,} records failed; max_errors is {allowed}",
                )
            case "down":
                return Stop(
                    StopKind.UNAVAILABLE,
                    f"the last {terms.most_ambiguous} requests of all who deliver this job had no"
                    " clear answer",
                )
        return None

    def _draw_soon(self) -> None:
        """Have the next draw made at once, unless one was made right now."""
        if self._clock() - self._drawn_at >= _SOONEST:
            self._kick.set()


class JobLimit:
    """The records of a run's limit that this process has in hand until the next draw."""

    def __init__(self, draw: Callable[[], None], *, limited: bool, batch: int) -> None:
        """`draw` has the next draw made at once."""
        self.spent = False
        self.over: Callable[[], None] = lambda: None  # called when it is spent
        self._draw = draw
        self._limited = limited
        self._batch = batch
        self._left = 0
        self._waiting = self._used = 0
        self._ended = False
        self._filled = anyio.Event()

    async def reserve(self, most: int) -> int | None:
        if not self._limited:
            return None
        while not self._left and not self.spent and not self._ended:
            self._waiting += 1
            try:
                self._draw()
                await self._filled.wait()
            finally:
                self._waiting -= 1
        taken = min(most, self._left)
        self._left -= taken
        self._used += taken
        return taken

    def give_back(self, records: int) -> None:
        if self._limited:
            self._left += records
            self._used -= records

    def empty(self) -> int:
        """Take back what is left in hand; nothing may be reserved until it is filled again."""
        left, self._left = self._left, 0
        return left

    def wanted(self) -> int:
        """How many records are likely to be needed until the draw after the next one.

        Whoever has nothing to send asks for none, or the last of a limit would stay in idle hands.
        """
        used, self._used = self._used, 0
        if not self._limited or not (used or self._waiting):
            return 0
        return 2 * used + (self._waiting + _FEWEST) * self._batch

    def end(self) -> None:
        """The run ends: keep nobody waiting."""
        self._ended = True
        self._filled.set()

    def fill(self, records: int | None, *, spent: bool) -> None:
        """Take what was drawn; `spent` says that there will be no more."""
        self._left += records or 0
        self.spent = self.spent or spent
        if spent:
            self.over()
        filled, self._filled = self._filled, anyio.Event()
        filled.set()
