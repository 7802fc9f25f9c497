"""One budget for all lanes, in virtual time against servers that count in their own ways."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import pytest
import trio
import trio.testing

from backfill.core.model import Flow, Stop, StopKind, Verdict
from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.pacer import Pacer
from backfill.deliver.pacing.rate_limiter import RateLimiter
from backfill.deliver.pacing.retry_backoff import Backoff
from backfill.deliver.pacing.turns import Grant

DELIVERED = Verdict(Flow.DELIVERED, http_status=200)
EPOCH = 1_800_000_000.0


def throttled(
    retry_after: float | None = None, wait_until: float | None = None, status: int = 429
) -> Verdict:
    return Verdict(
        Flow.AGAIN,
        reason="slow down",
        http_status=status,
        retry_after=retry_after,
        wait_until=wait_until,
        throttled=True,
    )


def virtually(run: Callable[[], Awaitable[None]]) -> None:
    """Run in virtual time, which moves on when all tasks wait."""
    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


def wall() -> float:
    """A wall clock that goes with the virtual one, which does not begin at 0."""
    return EPOCH + anyio.current_time()


def pacer_for(rate: float | None, *, lanes: int = 64, ramped: bool = True, **more) -> Pacer:
    health = Health(concurrency=lanes, patience=30.0, max_wait=600.0)
    if ramped:
        health.concurrency_limit = lanes
    return Pacer(rate, health=health, wall=wall, rng=random.Random(7), **more)


@dataclass
class Run:
    """Lanes that send as soon as they may, and when they did."""

    pacer: Pacer
    answer: Callable[[float], Verdict] = lambda _: DELIVERED
    latency: float = 0.01
    rng: random.Random = field(default_factory=lambda: random.Random(3))
    sent: list[float] = field(default_factory=list)
    answers: list[tuple[float, bool]] = field(default_factory=list)

    async def lane(self) -> None:
        while (grant := await self.pacer.acquire()) is not None:
            self.sent.append(anyio.current_time())
            await anyio.sleep(self.latency * self.rng.uniform(0.4, 0.6))
            verdict = self.answer(anyio.current_time())
            await anyio.sleep(self.latency * self.rng.uniform(0.4, 0.6))
            self.answers.append((anyio.current_time(), verdict.flow is Flow.DELIVERED))
            assert self.pacer.on_verdict(grant, verdict) is None

    async def go(self, seconds: float, lanes: int = 64) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(lanes):
                group.start_soon(self.lane)
            await anyio.sleep(seconds)
            self.pacer.stop()


def most_in_any_second(times: list[float]) -> int:
    window: deque[float] = deque()
    most = 0
    for time in times:
        window.append(time)
        while window[0] <= time - 1.0:
            window.popleft()
        most = max(most, len(window))
    return most


# --- a set rate ------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.5, 2.0, 14.0, 150.0])
def test_a_set_rate_is_kept_within_two_percent_over_ten_seconds(rate: float) -> None:
    async def main() -> None:
        run = Run(pacer_for(rate))
        await run.go(30.0)
        begin = run.sent[0]
        for offset in (0.0, 7.3, 19.0):
            count = sum(begin + offset <= at < begin + offset + 10.0 for at in run.sent)
            assert abs(count - 10 * rate) <= max(0.02 * 10 * rate, 1)
        assert most_in_any_second(run.sent) <= rate + max(1.2, 0.1 * rate)

    virtually(main)


def test_nothing_is_stored_up_before_the_first_request_nor_more_than_a_burst_later() -> None:
    async def main() -> None:
        pacer = pacer_for(10.0)
        await anyio.sleep(0.05)
        run = Run(pacer)
        await run.go(1.0)
        assert len(run.sent) <= 11
        later = Run(pacer_for(100.0))
        await anyio.sleep(3600.0)
        await later.go(1.0)
        assert len(later.sent) <= 100 + 10

    virtually(main)


def test_no_second_ever_sees_more_than_rate_and_burst_however_unevenly_it_is_asked() -> None:
    rng = random.Random(11)
    for rate in (0.7, 3.0, 20.0, 400.0):
        limiter = RateLimiter(0.0)
        now, granted = 0.0, []
        for _ in range(4000):
            if limiter.take(now, rate):
                granted.append(now)
            else:
                now += limiter.wait(now, rate) * rng.choice([0.5, 1.0, 1.0, 3.0]) + 1e-9
        assert most_in_any_second(granted) <= rate + max(1.2, 0.1 * rate) + 1e-6


def test_late_timers_cost_no_throughput() -> None:
    limiter, now, granted = RateLimiter(0.0), 0.0, 0
    while now < 100.0:
        if limiter.take(now, 50.0):
            granted += 1
        else:
            now += limiter.wait(now, 50.0) + 0.003
    assert granted == pytest.approx(5000, rel=0.01)


def test_lanes_are_served_in_the_order_in_which_they_came() -> None:
    async def main() -> None:
        pacer = pacer_for(10.0)
        order: list[int] = []

        async def lane(number: int) -> None:
            grant = await pacer.acquire()
            assert grant is not None
            order.append(number)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(lane, number)
                await anyio.sleep(0.001)
        assert order == list(range(20))

    virtually(main)


def test_a_lane_that_gives_up_waiting_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        pacer = pacer_for(1.0)
        got: list[float] = []

        assert await pacer.acquire() is not None
        start = anyio.current_time()
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(0.2):
                group.start_soon(patient_after, pacer, got)
                await pacer.acquire()
        assert got == [pytest.approx(start + 1.0)]

    async def patient_after(pacer: Pacer, got: list[float]) -> None:
        await anyio.sleep(0.1)
        assert await pacer.acquire() is not None
        got.append(anyio.current_time())

    virtually(main)


def test_a_stop_lets_nobody_wait_any_longer() -> None:
    async def main() -> None:
        pacer = pacer_for(0.001)
        assert await pacer.acquire() is not None
        results: list[Grant | None] = []

        async def lane() -> None:
            results.append(await pacer.acquire())

        start = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(lane)
            await anyio.sleep(5.0)
            pacer.stop()
        assert results == [None] * 10
        assert anyio.current_time() == pytest.approx(start + 5.0)
        assert await pacer.acquire() is None

    virtually(main)


def test_no_more_requests_are_out_than_health_allows() -> None:
    async def main() -> None:
        pacer = pacer_for(1000.0, ramped=False)
        run = Run(pacer, latency=1.0)
        most: list[int] = []

        async def watch() -> None:
            for _ in range(5):
                most.append(pacer.out)
                await anyio.sleep(1.15)
            pacer.stop()

        async with anyio.create_task_group() as group:
            for _ in range(64):
                group.start_soon(run.lane)
            await anyio.sleep(0.01)
            group.start_soon(watch)
        assert most == [1, 2, 4, 8, 16]

    virtually(main)


def test_a_grant_is_given_back_once() -> None:
    async def main() -> None:
        pacer = pacer_for(10.0)
        grant = await pacer.acquire()
        assert grant is not None
        pacer.withdraw(grant)
        with pytest.raises(RuntimeError):
            pacer.on_verdict(grant, DELIVERED)
        assert pacer.out == 0

    virtually(main)


# --- quiet periods ---------------------------------------------------------------------------


def test_one_retry_after_quiets_every_lane_and_nobody_storms_out_afterwards() -> None:
    async def main() -> None:
        pacer = pacer_for(50.0)
        start = anyio.current_time()
        asked = itertools.chain([throttled(20.0)], itertools.repeat(DELIVERED))
        run = Run(pacer, answer=lambda _: next(asked))
        await run.go(30.0)
        refused = run.answers[0][0]
        after = [at for at in run.sent if at > refused]
        assert after[0] >= refused + 20.0
        assert pacer.quiet_until == pytest.approx(EPOCH + refused + 20.0)
        assert sum(at < after[0] + 1.0 for at in after) <= 51
        assert len(after) >= 0.95 * 50 * (30.0 - 20.0 - (refused - start))

    virtually(main)


def test_the_longer_of_two_waits_wins() -> None:
    async def main() -> None:
        pacer = pacer_for(100.0)
        first, second = await pacer.acquire(), await pacer.acquire()
        assert first is not None
        assert second is not None
        start = anyio.current_time()
        pacer.on_verdict(first, throttled(10.0))
        pacer.on_verdict(second, throttled(3.0))
        assert await pacer.acquire() is not None
        assert anyio.current_time() - start == pytest.approx(10.0)

    virtually(main)


def test_a_quiet_period_ends_where_the_clock_says_now_also_when_it_was_set_back() -> None:
    now, clock_is_off = 0.0, 7200.0
    health = Health(concurrency=4, patience=30.0, max_wait=600.0)
    pacer = Pacer(10.0, health=health, clock=lambda: now, wall=lambda: EPOCH + now + clock_is_off)
    pacer.quiet(5.0)
    assert pacer.quiet_until == EPOCH + 7205.0
    now, clock_is_off = 2.0, 0.0
    pacer.quiet(30.0)
    assert pacer.quiet_until == EPOCH + 32.0


def test_a_date_is_a_moment_of_the_wall_clock() -> None:
    async def main() -> None:
        pacer = pacer_for(100.0)
        grant = await pacer.acquire()
        assert grant is not None
        pacer.on_verdict(grant, throttled(wait_until=wall() + 42.0))
        start = anyio.current_time()
        assert await pacer.acquire() is not None
        assert anyio.current_time() - start == pytest.approx(42.0)

    virtually(main)


@pytest.mark.parametrize("asked", ["no time", "a date gone by"])
@pytest.mark.parametrize("status", [429, 503])
def test_to_be_asked_to_wait_no_time_is_to_be_asked_nothing(asked: str, status: int) -> None:
    async def main() -> None:
        pacer = pacer_for(1e6)
        grant = await pacer.acquire()
        assert grant is not None
        start = anyio.current_time()
        if asked == "no time":
            pacer.on_verdict(grant, throttled(0.0, status=status))
        else:
            pacer.on_verdict(grant, throttled(wait_until=wall() - 5.0, status=status))
        assert await pacer.acquire() is not None
        guessed = random.Random(7).uniform(0.0, 0.5)
        assert anyio.current_time() - start == pytest.approx(guessed)

    virtually(main)


def test_a_permission_from_before_a_quiet_period_is_no_longer_valid() -> None:
    async def main() -> None:
        pacer = pacer_for(100.0)
        early, other = await pacer.acquire(), await pacer.acquire()
        assert early is not None
        assert other is not None
        assert early.still_valid()
        pacer.on_verdict(other, throttled(5.0))
        assert not early.still_valid()
        pacer.withdraw(early)
        late = await pacer.acquire()
        assert late is not None
        assert late.still_valid()
        pacer.stop()
        assert not late.still_valid()

    virtually(main)


def test_a_stored_quiet_period_holds_for_the_next_run() -> None:
    async def main() -> None:
        start = anyio.current_time()
        pacer = pacer_for(100.0, quiet_until=wall() + 33.0)
        assert pacer.begin() is None
        assert await pacer.acquire() is not None
        assert anyio.current_time() - start == pytest.approx(33.0)

    virtually(main)


def test_a_stored_quiet_period_above_max_wait_ends_the_run_before_it_begins() -> None:
    async def main() -> None:
        pacer = pacer_for(100.0, quiet_until=wall() + 700.0)
        stop = pacer.begin()
        assert stop is not None
        assert stop.kind is StopKind.UNAVAILABLE
        assert stop.come_back_at == pytest.approx(wall() + 700.0)

    virtually(main)


def test_a_wait_above_max_wait_ends_the_run_and_is_known_to_the_next_one() -> None:
    async def main() -> None:
        pacer = pacer_for(100.0)
        grant = await pacer.acquire()
        assert grant is not None
        stop = pacer.on_verdict(grant, throttled(3600.0))
        assert stop is not None
        assert stop.come_back_at == pacer.quiet_until == pytest.approx(wall() + 3600.0)

    virtually(main)


def test_without_a_retry_after_one_request_at_a_time_knocks_ever_more_rarely() -> None:
    async def main() -> None:
        pacer = pacer_for(20.0)
        start = anyio.current_time()
        run = Run(pacer, answer=lambda now: throttled() if now < start + 60 else DELIVERED)
        await run.go(125.0)
        knocks = [at - start for at in run.sent if at < start + 60]
        assert len([at for at in knocks if at > 5]) < 20
        assert sum(ok for _, ok in run.answers) > 20 * 4

    virtually(main)


def test_a_limit_that_is_given_up_is_noticed_within_ten_seconds() -> None:
    async def main() -> None:
        pacer = pacer_for(20.0)
        start = anyio.current_time()
        run = Run(pacer, answer=lambda now: throttled() if now < start + 300 else DELIVERED)
        await run.go(315.0)
        assert min(at for at, ok in run.answers if ok) - start < 300 + 10.5

    virtually(main)


def test_the_backoff_has_full_jitter_grows_and_is_bounded() -> None:
    waits: list[list[float]] = [[] for _ in range(12)]
    for seed in range(300):
        backoff = Backoff(random.Random(seed))
        for step in waits:
            step.append(backoff.next())
    for failures, step in enumerate(waits):
        ceiling = min(10.0, 0.5 * 2**failures)
        assert 0 <= min(step) < 0.1 * ceiling
        assert 0.9 * ceiling < max(step) <= ceiling
    backoff.reset()
    assert backoff.next() <= 0.5


@pytest.mark.parametrize(
    "verdict", [Verdict(Flow.AMBIGUOUS, "reset"), Verdict(Flow.UNKNOWN, "a page of HTML")]
)
def test_an_outage_ends_the_run_after_ten_requests(verdict: Verdict) -> None:
    async def main() -> None:
        pacer = pacer_for(100.0, ramped=False)
        stops: list[Stop | None] = []
        while not any(stops):
            grant = await pacer.acquire()
            assert grant is not None
            stops.append(pacer.on_verdict(grant, verdict))
        assert len(stops) == 10
        assert stops[-1] is not None
        assert stops[-1].kind is StopKind.UNAVAILABLE

    virtually(main)


def test_refused_connections_are_tried_again_ever_more_rarely_until_patience_ends() -> None:
    async def main() -> None:
        pacer = pacer_for(100.0)
        start, sent = anyio.current_time(), 0
        while True:
            grant = await pacer.acquire()
            assert grant is not None
            sent += 1
            stop = pacer.on_verdict(grant, Verdict(Flow.AGAIN, "connection refused"))
            if stop is not None:
                break
        assert 30.0 <= anyio.current_time() - start <= 95.0
        assert sent < 25

    virtually(main)


def test_an_unlimited_rate_never_waits() -> None:
    async def main() -> None:
        pacer = pacer_for(float("inf"))
        start = anyio.current_time()
        for _ in range(1000):
            grant = await pacer.acquire()
            assert grant is not None
            pacer.on_verdict(grant, DELIVERED)
        assert anyio.current_time() == start

    virtually(main)
