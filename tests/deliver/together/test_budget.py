"""What a process draws of a run's budget is handed out in its time, and reported once."""

from __future__ import annotations

import math
from typing import Any

import anyio
import pytest
import trio.testing

from backfill.core.model import Flow, Stop, StopKind, Tick, Verdict
from backfill.deliver.pacing import Health, Pacer
from backfill.deliver.together.budget import JobBudget
from backfill.ledger.sharing import Allowance, Report, Terms

EPOCH = 1_700_000_000.0


class Row:
    """The budget's row for one or several deliverers, in virtual time: only its rate and limit."""

    def __init__(self, rate: float, limit: int | None = None) -> None:
        self.rate, self.left = rate, limit
        self.free_at = 0.0
        self.generation = 0
        self.quiet_until = 0.0
        self.reports: list[Report] = []

    def draw(self, report: Report) -> Allowance:
        now = anyio.current_time()
        self.reports.append(report)
        if report.hush is not None:
            self.generation += 1
            self.quiet_until = self.free_at = now + report.hush
        begins = max(now, self.free_at)
        room = max(0, math.ceil((now + 0.5 - begins) * self.rate))
        requests = min(report.wanted, room)
        self.free_at = begins + requests / self.rate if requests else self.free_at
        records = None
        if self.left is not None:
            self.left += report.given_back
            records = min(report.records, self.left)
            self.left -= records
        spent = self.left == 0 and records == 0
        return Allowance(
            requests=requests,
            records=records,
            begins=begins,
            spacing=1 / self.rate,
            generation=self.generation,
            quiet_until=self.quiet_until,
            stop="limit" if spent else None,
            leads=True,
            others=1,
            rate=self.rate,
            sent=sum(each.sent for each in self.reports),
            accepted=sum(each.accepted for each in self.reports),
            failed=0,
            settled=0,
            refusals=(),
            heard=0,
        )


def budget_for(row: Row, **terms: Any) -> JobBudget:
    return JobBudget(
        row,
        Terms(rate=row.rate, **terms),
        batch=1,
        monotonic=anyio.current_time,
    )


def pacer_for(budget: JobBudget, rate: float) -> Pacer:
    health = Health(concurrency=64, patience=30, max_wait=600)
    pacer = Pacer(rate, health=health, shared=budget, wall=lambda: EPOCH + anyio.current_time())
    budget.awake = pacer.look_again
    return pacer


def virtually(function: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def at_once(called: Any, *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return called(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
    clock = trio.testing.MockClock(autojump_threshold=0)
    return anyio.run(function, backend="trio", backend_options={"clock": clock})


@pytest.mark.parametrize("rate", [3.0, 50.0, 500.0])
def test_several_lanes_send_at_the_rate_and_never_above_it(monkeypatch, rate) -> None:
    row = Row(rate)
    sent: list[float] = []

    async def lane(pacer: Pacer) -> None:
        while (grant := await pacer.acquire()) is not None:
            sent.append(anyio.current_time())
            await anyio.sleep(0.01)
            pacer.on_verdict(grant, Verdict(Flow.DELIVERED))

    async def go() -> None:
        budget = budget_for(row)
        pacer = pacer_for(budget, rate)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(budget.keep, lambda _: None)
            for _ in range(40):
                tasks.start_soon(lane, pacer)
            await anyio.sleep(6)
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)
    steady = [at - sent[0] for at in sent if at - sent[0] >= 1]
    assert len(steady) >= 0.98 * rate * (6 - 1 - sent[0]) - 1
    for begin in (1.0, 2.5, 4.0):
        within = [at for at in steady if begin <= at < begin + 1]
        assert len(within) <= rate * 1.1 + 1.2
    assert sum(each.sent for each in row.reports) <= len(sent)


def send_some(row: Row, rate: float, requests: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """Send after a quiet period, beside three that have nothing to send; the seconds it took."""
    took = []

    async def go() -> None:
        busy, *idle = (budget_for(row) for _ in range(4))
        pacer = pacer_for(busy, rate)
        async with anyio.create_task_group() as tasks:
            for each in (*idle, busy):
                tasks.start_soon(each.keep, lambda _: None)
            pacer.quiet(1.0)
            await anyio.sleep(1.0)
            began = anyio.current_time()
            for _ in range(requests):
                grant = await pacer.acquire()
                assert grant is not None
                pacer.on_verdict(grant, Verdict(Flow.DELIVERED))
            took.append(anyio.current_time() - began)
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)
    return took[0]


def test_however_long_a_slow_rate_keeps_one_waiting_it_asks_for_no_more_than_counts(
    monkeypatch,
) -> None:
    """Found by simulation: a run at one request in five seconds ended with an error of the
    database, for what was asked for doubled with each draw that brought nothing.
    """
    row = Row(0.2)
    send_some(row, 0.2, 4, monkeypatch)
    assert max(each.wanted for each in row.reports) < 10_000


def test_at_a_slow_rate_who_has_nothing_to_send_takes_no_turn(monkeypatch) -> None:
    """Found by simulation: after each quiet period as many turns were lost as others were idle."""
    assert send_some(Row(2.0), 2.0, 5, monkeypatch) <= 4 / 2.0 + 0.5


def test_a_quiet_period_calls_back_what_was_drawn_and_is_told_to_all(monkeypatch) -> None:
    row = Row(10.0)

    async def go() -> None:
        budget = budget_for(row)
        pacer = pacer_for(budget, 10.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(budget.keep, lambda _: None)
            grant = await pacer.acquire()
            assert grant is not None
            wait = Verdict(Flow.AGAIN, throttled=True, http_status=429, retry_after=5.0)
            asked = anyio.current_time()
            assert pacer.on_verdict(grant, wait) is None
            other = await pacer.acquire()
            assert other is not None
            assert anyio.current_time() >= asked + 5.0
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)
    assert [each.hush for each in row.reports if each.hush is not None] == [pytest.approx(5.0)]


def test_a_quiet_period_that_another_was_asked_for_holds_at_once(monkeypatch) -> None:
    row = Row(10.0)

    async def go() -> None:
        budget = budget_for(row)
        pacer = pacer_for(budget, 10.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(budget.keep, lambda _: None)
            grant = await pacer.acquire()
            assert grant is not None
            assert grant.still_valid()
            budget.hear(7, 3.0)
            heard = anyio.current_time()
            assert not grant.still_valid(), "what was granted is called back"
            pacer.withdraw(grant)
            row.generation, row.quiet_until = 7, heard + 3.0
            assert await pacer.acquire() is not None
            assert anyio.current_time() >= heard + 3.0
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)
    assert all(each.hush is None for each in row.reports), "nobody tells again what it was told"


def test_a_quiet_period_of_another_that_is_longer_than_max_wait_stops_this_one_too(
    monkeypatch,
) -> None:
    """Found by simulation: one deliverer stopped, and the others waited for hours."""
    row = Row(10.0)
    stops: list[Stop] = []

    async def go() -> None:
        budget = budget_for(row)
        budget.asked = pacer_for(budget, 10.0).asked
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(budget.keep, stops.append)
            await anyio.sleep(1.0)
            row.generation, row.quiet_until = 7, anyio.current_time() + 599.0
            await anyio.sleep(1.0)
            assert stops == [], "it waits that long"
            row.generation, row.quiet_until = 8, anyio.current_time() + 4000.0
            await anyio.sleep(1.0)
            tasks.cancel_scope.cancel()

    virtually(go, monkeypatch)
    assert stops[0].kind is StopKind.UNAVAILABLE
    assert "max_wait" in stops[0].message
    assert stops[0].come_back_at == pytest.approx(EPOCH + 4000, abs=10)


def test_records_of_the_limit_are_reserved_given_back_and_end(monkeypatch) -> None:
    row = Row(1_000.0, limit=10)
    stops: list[Any] = []

    async def go() -> None:
        budget = budget_for(row, limit=10)
        used = 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(budget.keep, stops.append)
            while (room := await budget.limit.reserve(4)) != 0:
                assert room is not None
                budget.limit.give_back(room - 1)  # one of them is sent
                used += 1
                await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()
        assert used == 10
        assert budget.limit.spent

    virtually(go, monkeypatch)
    assert row.left == 0
    assert stops == [], "what was reserved is still sent"


def test_whoever_waits_for_records_is_let_go_when_the_run_ends(monkeypatch) -> None:
    async def go() -> None:
        budget = budget_for(Row(10.0, limit=5), limit=5)
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                assert await budget.limit.reserve(1) == 0

            tasks.start_soon(wait)
            await anyio.sleep(1)
            budget.limit.end()

    virtually(go, monkeypatch)


def test_what_is_reported_is_reported_once(monkeypatch) -> None:
    async def go() -> None:
        budget = budget_for(Row(10.0))
        for flow in (Flow.AMBIGUOUS, Flow.DELIVERED, Flow.AMBIGUOUS, Flow.UNKNOWN, Flow.AGAIN):
            budget.note(Verdict(flow))
        budget.count(Tick(at=0, delivered=7, failed=2, unknown=1))
        budget.refused(anyio.current_time() - 0.5, 40.0)
        budget.accepted()
        found = budget.report()
        assert (found.answered, found.ambiguous) == (True, 2)
        assert (found.delivered, found.failed, found.accepted) == (7, 2, 1)
        assert found.refused == ((0.5, 40.0),)
        again = budget.report()
        assert (again.answered, again.ambiguous, again.delivered, again.refused) == (
            False,
            0,
            0,
            (),
        )

    virtually(go, monkeypatch)


def test_who_has_nothing_to_send_keeps_no_records_of_the_limit(monkeypatch) -> None:
    """Else the last ones would stay with somebody whose buckets are empty, and no run would end."""

    async def go() -> None:
        budget = budget_for(Row(1_000.0, limit=10), limit=10)
        assert budget.report().records == 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(budget.limit.reserve, 1)
            await anyio.wait_all_tasks_blocked()
            assert budget.report().records > 0
            tasks.cancel_scope.cancel()
        assert budget.report().records == 0

    virtually(go, monkeypatch)


def test_what_is_drawn_while_a_run_ends_is_given_back(monkeypatch) -> None:
    row = Row(50.0, limit=20)

    async def slowly(called: Any, *args: Any, **_: Any) -> Any:
        found = called(*args)
        await anyio.sleep(1)
        return found

    async def go() -> int:
        monkeypatch.setattr(anyio.to_thread, "run_sync", slowly)
        budget = budget_for(row, limit=20)
        with anyio.move_on_after(0.5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(budget.limit.reserve, 1)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(budget.keep, lambda _: None)
        return budget.report(last=True).given_back

    clock = trio.testing.MockClock(autojump_threshold=0)
    back = anyio.run(go, backend="trio", backend_options={"clock": clock})
    assert row.left is not None
    assert (row.left < 20, row.left + back) == (True, 20)
