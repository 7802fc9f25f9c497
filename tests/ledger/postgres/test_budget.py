"""However many draw on it, a job's budget is one: its rate, its limit, its quiet."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from backfill.ledger.postgres import PostgresLedger
from backfill.ledger.postgres.budget import Allowance, Budget, Report
from tests.ledger.places import PostgresPlace, cut
from tests.ledger.postgres.server import PostgresServer

NOTHING = Report()


@pytest.fixture
def three(postgres: PostgresServer) -> Iterator[list[PostgresLedger]]:
    place = PostgresPlace(postgres.address)
    ledgers = [
        PostgresLedger.open(place.address, place.schema, create=not number) for number in range(3)
    ]
    yield ledgers
    for ledger in ledgers:
        ledger.close()


def join_alone(budget: Budget, **what: Any) -> None:
    """Begin a run of one's own, once the sessions that were closed have ended."""
    deadline = time.monotonic() + 5
    while not budget.join(rate=None, **what):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def moments(drawn: Allowance) -> list[float]:
    return [drawn.begins + number * drawn.spacing for number in range(drawn.requests)]


def test_the_first_says_what_a_run_may_send_and_who_joins_does_not(three) -> None:
    first, second, third = (ledger.budget for ledger in three)
    assert first.join(rate=None, records=100)
    assert not second.join(rate=None, records=5_000)
    assert third.draw(NOTHING, wanted=1_000).records == 100
    three[0].close()
    three[1].close()
    join_alone(third, records=7)
    assert third.draw(NOTHING, wanted=1_000).records == 7


def test_what_is_drawn_by_many_keeps_one_rate(three) -> None:
    rate = 200.0
    for ledger in three:
        ledger.budget.join(rate=rate)
    sent: list[float] = []
    lock = threading.Lock()

    def deliver(ledger: PostgresLedger) -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            drawn = ledger.budget.draw(NOTHING, wanted=20)
            with lock:
                sent.extend(moments(drawn))
            time.sleep(0.02)

    began = time.monotonic()
    threads = [threading.Thread(target=deliver, args=(ledger,)) for ledger in three]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent.sort()
    assert sent[0] >= began
    seconds = sent[-1] - began
    assert len(sent) <= rate * seconds + 1, "never more than the rate allows"
    assert len(sent) >= 0.5 * rate * 1.5, "and most of it, however busy the machine is"


def test_a_limit_over_three_is_spent_to_the_last_record(three) -> None:
    for ledger in three:
        ledger.budget.join(rate=None, records=1_000)
    drawn: list[int] = []
    lock = threading.Lock()

    def deliver(ledger: PostgresLedger) -> None:
        report = NOTHING
        while True:
            allowance = ledger.budget.draw(report, wanted=3, records_each=7)
            if allowance.stop is not None:
                assert allowance.stop == "limit"
                assert allowance.requests == 0
                return
            assert allowance.records is not None
            back = int(allowance.records == 7)  # now and then not all of it is used
            report = Report(given_back=back)
            with lock:
                drawn.append(allowance.records - back)

    threads = [threading.Thread(target=deliver, args=(ledger,)) for ledger in three]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever drew last gave back what only another draw can use.
    assert 1_000 - len(three) <= sum(drawn) <= 1_000


def test_a_request_to_be_quiet_is_heard_by_all_at_once(three) -> None:
    first, second, _ = (ledger.budget for ledger in three)
    first.join(rate=1_000)
    second.join(rate=1_000)
    before = second.draw(NOTHING, wanted=50)
    assert before.requests > 0
    with second.notices() as notices:
        asked = time.monotonic()
        first.quiet(0.8)
        answered = time.monotonic()
        assert notices(5) == before.generation + 1
        assert notices(0.01) is None
    during = second.draw(NOTHING, wanted=50)
    assert during.generation == before.generation + 1
    assert asked + 0.79 <= during.quiet_until <= answered + 0.81
    assert during.requests == 0 or during.begins >= during.quiet_until - 0.01
    first.quiet(0.1)
    assert second.draw(NOTHING, wanted=1).quiet_until >= during.quiet_until - 0.1, "never sooner"


def test_errors_and_time_are_counted_together(three) -> None:
    first, second, third = (ledger.budget for ledger in three)
    first.join(rate=None, failures=3)
    for budget in (second, third):
        budget.join(rate=None)
        assert budget.draw(Report(failed=1), wanted=1).stop is None
    assert first.draw(Report(failed=2), wanted=1).stop == "errors"
    assert second.draw(NOTHING, wanted=1).stop == "errors"
    for ledger in three[:2]:
        ledger.close()
    join_alone(third, seconds=0.2)
    assert third.draw(NOTHING, wanted=1).stop is None
    time.sleep(0.25)
    assert third.draw(NOTHING, wanted=1).stop == "time"


def test_a_changed_rate_calls_back_what_was_drawn(three) -> None:
    first, second, _ = (ledger.budget for ledger in three)
    first.join(rate=1)
    known = first.draw(NOTHING, wanted=10)
    assert known.requests == 1, "a slow rate hands out one at least"
    second.set_rate(500)
    drawn = first.draw(NOTHING, wanted=10)
    assert (drawn.requests, drawn.spacing) == (10, pytest.approx(0.002))
    assert drawn.generation == known.generation + 1


def test_who_lost_its_connection_is_still_part_of_the_run(three) -> None:
    first, second, _ = three
    first.budget.join(rate=None, records=10)
    cut(first)
    assert first.budget.draw(NOTHING, wanted=4).records == 4
    assert not second.budget.join(rate=None, records=500)
