"""Lanes walked side by side under one budget, until all is sent or something says stop."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import anyio
from anyio.abc import TaskGroup

from backfill.core.errors import BackfillError
from backfill.core.model import (
    Batch,
    Flow,
    Lane,
    Range,
    Reply,
    Settlement,
    Stop,
    StopKind,
    Tick,
    Verdict,
)
from backfill.deliver.http.errors import Withheld
from backfill.deliver.pacing import MOST_AMBIGUOUS, BatchRetries, Grant, Pacer
from backfill.deliver.run.company import AnyLimit, Company, RecordLimit
from backfill.deliver.run.error_budget import ErrorsBudget
from backfill.deliver.run.group_commit import Committer
from backfill.deliver.run.lane_queue import AnyFeed, Feed
from backfill.deliver.run.lanes import LaneCursor, portions
from backfill.deliver.run.pace_follower import follow_pace
from backfill.deliver.run.reached import REACHED
from backfill.deliver.run.ready_reader import Ready, Rows
from backfill.deliver.run.run_metrics import Meter, Snapshot
from backfill.deliver.run.selection import Selection
from backfill.deliver.run.send import Answer, Request, Sender
from backfill.deliver.run.settings import Settings
from backfill.deliver.run.stop_messages import limit_reached, refusal, time_over
from backfill.deliver.run.stopping import StopState
from backfill.destination import Destination
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.pace_file import PaceSetting
from backfill.ledger import AnyLedger

__all__ = ["Run"]

log = logging.getLogger("backfill.deliver")

_PORTION = 1024  # records of a lane that are in memory at a time, about
_LOG_EVERY = 60.0  # seconds between two lines on how far a run is
_OBSERVE_EVERY = 0.15  # seconds


class Run:
    """The parts of one run, put together."""

    def __init__(
        self,
        *,
        manifest: Manifest,
        ready: Ready,
        ledger: AnyLedger,
        destination: Destination,
        settings: Settings,
        pacer: Pacer,
        sender: Sender,
        meter: Meter,
        rng: random.Random,
        selection: Selection | None = None,
        company: Company | None = None,
    ) -> None:
        """Without a `selection` all is sent. `company` is there where other processes deliver the
        same job: it chooses then.
        """
        self.stop_state = StopState(self._stopped)
        self._company = company
        self._destination = destination
        self._size = destination.batch_size
        self._settings = settings
        self._pacer = pacer
        self._sender = sender
        self._meter = meter
        self._rng = rng
        self._lanes = sum(len(bucket.lanes) for bucket in manifest.buckets)
        self._selection = selection
        self._feed: AnyFeed = company or Feed(manifest, ledger, self._selection)
        self._ready = ready
        self._errors = ErrorsBudget(
            count=settings.max_errors_count, fraction=settings.max_errors_fraction
        )
        self._committer = Committer(
            ledger, meter, committed=self._committed, broken=self.stop_state.fail
        )
        self._workers = 0  # that were started
        self._walking: TaskGroup | None = None
        self._limit: AnyLimit | None = None
        if company is not None:
            self._limit = company.limit
        elif settings.limit is not None:
            self._limit = RecordLimit(settings.limit)
        self._at_least_once = settings.guarantee == "at-least-once"
        self._quiet = pacer.quiet_until, pacer.quiet_asked_at  # as it was stored last
        self._reached = ledger.get_meta(REACHED) is not None
        pacer.heard = self._heard

    async def go(
        self,
        observe: Callable[[Snapshot], None] | None,
        pace: Callable[[], PaceSetting] | None = None,
    ) -> None:
        """Send until nothing is left or the run is to stop, and until all of it is recorded."""
        async with anyio.create_task_group() as around:
            if pace is not None:
                follow = partial(follow_pace, widen=self._widen, lost=self.stop_state.fail)
                around.start_soon(follow, pace, self._settings, self._pacer)
            if observe is not None:
                around.start_soon(self._observe, observe)
            if self._settings.max_duration is not None and self._company is None:
                around.start_soon(self._time_is_up, self._settings.max_duration)
            if self._company is not None:
                around.start_soon(self._company.keep, self.stop_state)
            async with anyio.create_task_group() as writing:
                writing.start_soon(self._committer.run)
                try:
                    async with anyio.create_task_group() as lanes:
                        self._walking = lanes
                        self._widen(self._settings.concurrency)
                finally:
                    self._walking = None  # also after a fault, while the last outcomes are written
                self._committer.close()
            around.cancel_scope.cancel()
        if observe is not None:
            observe(self._snapshot())

    def outcome(self) -> Stop | None:
        """Why the run ended, None where nothing is pending any more.

        Raises ConfigError where only records were to be sent that the job does not have.
        """
        if not (self._meter.pending if self._company is None else self._company.pending()):
            return None
        if self.stop_state.stop is None and self._limit is not None and self._limit.spent:
            return limit_reached(self._settings.limit or 0)
        if self.stop_state.stop is None and self._selection is not None:
            self._selection.refuse_unknown_value()
            return Stop(StopKind.LIMIT, self._selection.message())
        return self.stop_state.stop

    def halt(self, kind: StopKind) -> None:
        message = "interrupted" if kind is StopKind.INTERRUPTED else kind.value
        self.stop_state.pull(Stop(kind, f"{message}; what was in flight is finished and recorded"))

    # --- lanes -----------------------------------------------------------------------------

    def _widen(self, concurrency: int) -> None:
        """Have as many lanes walked side by side as requests may be out at once."""
        while self._walking and self._workers < min(concurrency, self._lanes):
            self._workers += 1
            self._walking.start_soon(self._work)

    async def _work(self) -> None:
        """Send one lane after another, until none is left or the run stops."""
        try:
            while not self._ending() and (found := await self._feed.next()) is not None:
                await self._send_lane(*found)
                self._feed.done(found[0])
        except BackfillError as error:
            self.stop_state.fail(error)

    async def _send_lane(self, lane: Lane, pending: Sequence[Range]) -> None:
        full = self._size
        for portion in portions(pending, full * max(1, _PORTION // full)):
            if self._ending() or not self._feed.keeps(lane):
                return
            cursor = LaneCursor(lane, portion, self._size)
            if (rows := await self._ready.read(lane.bucket, portion)) is not None:
                await self._through(cursor, rows)

    async def _through(self, cursor: LaneCursor, rows: Rows) -> None:
        """Send batch after batch of a portion, each in its turn."""
        retries = BatchRetries(self._rng)
        again = False
        unsent = 0  # records of the run's limit that were in no request yet
        while (drawn := await self._next(cursor)) is not None:
            batch, fresh = drawn
            unsent += fresh
            self._feed.asks(cursor.lane)
            if (grant := await self._pacer.acquire()) is None:
                break
            request = self._sender.request(*rows.slice_for(batch))
            if not await self._committer.start(batch):
                self._pacer.withdraw(grant)
                break
            # Quiet was asked for, or the run stops: the intent is taken back unsent.
            verdict = None
            if grant.still_valid() and (grant.left or await self._pacer.departures.wait(grant)):
                verdict = await self._send(batch, request, grant, again=again)
            if verdict is None:
                self._pacer.withdraw(grant)
                self._committer.settle(Settlement(batch))
                cursor.put_back(batch)
                continue
            unsent = 0
            resends = self._at_least_once
            if resends and verdict.flow is Flow.AMBIGUOUS:
                # Where the run ends, the next one may find the destination in better health.
                resends = not retries.last or self.stop_state.pulled
                if not resends:
                    verdict = replace(verdict, reason=f"{verdict.reason} ({MOST_AMBIGUOUS} times)")
            settlement = cursor.settle(batch, verdict, at_least_once=resends)
            self._committer.settle(settlement)
            again = not settlement.outcomes and verdict.flow in (Flow.AGAIN, Flow.AMBIGUOUS)
            if (pause := retries.ended(verdict, again=again)) > 0:
                await self._pacer.rest(pause)
        self._give_back(unsent)

    async def _next(self, cursor: LaneCursor) -> tuple[Batch, int] | None:
        """The next batch of a portion, if one may be sent, and how many of its records were in none
        before.

        What was sent before goes first, also of a bucket that is to be given back.
        """
        room: int | None = 0
        if cursor.needs_fresh:
            if not self._feed.keeps(cursor.lane):
                return None
            room = await self._limit.reserve(self._size) if self._limit is not None else None
            if room == 0:
                return None
        drawn = cursor.next(room)
        if room:
            self._give_back(room - (drawn[1] if drawn else 0))
        return drawn

    def _give_back(self, records: int) -> None:
        """Leave so many records of the run's limit to others."""
        if self._limit is not None:
            self._limit.give_back(records)

    async def _send(
        self, batch: Batch, request: Request, grant: Grant, *, again: bool
    ) -> Verdict | None:
        """Send a batch whose intent is on the disk, and act on the answer; None where it stays."""
        may_send = None if self._company is None else self._company.permission(grant)
        self._meter.began(again=again)
        try:
            answer = await self._sender.send(request, len(batch), may_send)
        except Withheld:
            self._meter.withheld(again=again)
            return None
        verdict = answer.verdict
        if answer.error is not None:
            self.stop_state.fail(answer.error)
        self._meter.ended(verdict, answer.seconds, replied=isinstance(answer.reply, Reply))
        if verdict.flow is not Flow.DELIVERED:
            log.info(
                "refused: %s %s",
                verdict.http_status or "no reply",
                verdict.reason,
                extra={"flow": verdict.flow.value, "status": verdict.http_status},
            )
        self._on_verdict(grant, verdict, answer)
        return verdict

    def _on_verdict(self, grant: Grant, verdict: Verdict, answer: Answer) -> None:
        """Tell what an answer means to all who follow it: the pace, the ledger, the run's end."""
        if not self._reached and (isinstance(answer.reply, Reply) or answer.reply.reached):
            self._reached = True
            self._committer.set_meta(REACHED, "yes")
        if isinstance(answer.reply, Reply):
            self._pacer.listen(answer.reply.headers)
        stop = self._pacer.on_verdict(grant, verdict)
        if self._company is not None:
            self._company.note(verdict)
        if verdict.flow is Flow.STOP:
            reply = answer.reply if isinstance(answer.reply, Reply) else None
            host = self._sender.url.host
            self.stop_state.pull(refusal(self._destination, host, verdict, reply))
            stop = None
        self._heard(stop)

    def _heard(self, stop: Stop | None) -> None:
        """Keep what was asked for, of this run or of one that shares its limit, and end with it."""
        # Not by its end alone: the same date is a longer wait once the clock was set back; nor by
        # when it was asked for: two answers may have come at one moment.
        quiet = self._pacer.quiet_until, self._pacer.quiet_asked_at
        if quiet != self._quiet:
            self._quiet = quiet
            self._committer.quiet(*quiet)
        if stop is not None:
            self.stop_state.pull(replace(stop, message=f"{self._sender.url.host}: {stop.message}"))

    # --- around them -----------------------------------------------------------------------

    def _ending(self) -> bool:
        return self.stop_state.pulled or (self._limit is not None and self._limit.spent)

    def _stopped(self) -> None:
        self._pacer.stop()
        self._ready.stop()
        if self._company is not None:
            self._company.stop()

    def _committed(self, tick: Tick) -> None:
        if self._company is not None:
            self._company.count(tick)
            return
        self._errors.add(delivered=tick.delivered, failed=tick.failed)
        if self._errors.spent:
            self.stop_state.pull(Stop(StopKind.ERRORS, self._errors.message))

    async def _time_is_up(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.stop_state.pull(time_over(seconds))

    async def _observe(self, observe: Callable[[Snapshot], None]) -> None:
        told = anyio.current_time()
        others = 0
        while True:
            snapshot = self._snapshot()
            observe(snapshot)
            if anyio.current_time() - told >= _LOG_EVERY:
                told = anyio.current_time()
                log.info(
                    "%s pending, %s delivered, %.1f requests/s",
                    f"{snapshot.pending:,}",
                    f"{snapshot.delivered:,}",
                    snapshot.rate,
                    extra={"records": {"pending": snapshot.pending, **self._meter.at_rest()}},
                )
            if self._pacer.others != others:
                others = self._pacer.others
                log.info("%s other runs share this rate", others or "no")
            await anyio.sleep(_OBSERVE_EVERY)

    def _snapshot(self) -> Snapshot:
        return self._meter.snapshot(
            limit=self._pacer.rate,
            quiet_until=self._pacer.quiet_until,
            paused=self._pacer.paused,
            waits_for=self._waits_for(),
        )

    def _waits_for(self) -> str:
        if self._ready.storage.look():
            return "the storage"
        return "the database" if self._company is not None and self._company.away else ""
