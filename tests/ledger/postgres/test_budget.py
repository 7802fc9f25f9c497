"""However many draw on it, a job's budget is one: its rate, its limit, its quiet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backfill.core.errors import BusyError, LedgerError, OwnershipError
from backfill.ledger.postgres import PostgresLedger
from backfill.ledger.sharing import Allowance, Report, RunBudget, Terms
from tests.ledger.places import PostgresPlace, cut
from tests.ledger.postgres.server import PostgresServer
from tests.ledger.postgres.wire import losing, wire_to


@pytest.fixture
def three(postgres: PostgresServer) -> Iterator[list[PostgresLedger]]:
    place = PostgresPlace(postgres.address)
    ledgers = [
        PostgresLedger.open(place.address, place.schema, create=not number) for number in range(3)
    ]
    yield ledgers
    for ledger in ledgers:
        ledger.close()


def eventually(told: Callable[[], bool]) -> None:
    """Wait for what is so once a session that was closed has ended."""
    deadline = time.monotonic() + 5
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def join_alone(budget: RunBudget, **what: Any) -> None:
    """Begin a run of one's own, once the others have left."""
    eventually(lambda: budget.join(Terms(**what))[0] or (budget.leave() and False))


def moments(drawn: Allowance) -> list[float]:
    return [drawn.begins + number * drawn.spacing for number in range(drawn.requests)]


def in_threads(work: Callable[[PostgresLedger], None], ledgers: list[PostgresLedger]) -> None:
    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_first_says_what_a_run_may_send_and_who_joins_does_not(three) -> None:
    first, second, third = (ledger.budget for ledger in three)
    terms = Terms(limit=100, rate=5.0)
    assert first.join(terms) == (True, terms)
    assert second.join(Terms(limit=5_000)) == (False, terms)
    third.join(Terms())
    assert third.draw(Report(records=1_000)).records == 100
    assert not first.leave()
    assert not second.leave()
    assert third.leave()
    join_alone(third, limit=7)
    assert third.draw(Report(records=1_000)).records == 7


def test_who_joins_while_the_first_one_does_hears_of_its_terms(three) -> None:
    """A commit takes a while to reach the disk, and what it says holds from then on."""
    terms = Terms(limit=7)
    heard: list[tuple[bool, Terms]] = []
    second = threading.Thread(target=lambda: heard.append(three[1].budget.join(Terms())))
    with three[0]._session._connection.transaction():
        assert three[0].budget.join(terms) == (True, terms)
        second.start()
        waits = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        eventually(lambda: bool(heard) or three[2]._session.rows(waits)[0][0])
    second.join()
    assert heard == [(False, terms)]


def test_what_is_drawn_by_many_keeps_one_rate(three) -> None:
    rate = 200.0
    for ledger in three:
        ledger.budget.join(Terms(rate=rate))
    sent: list[float] = []
    lock = threading.Lock()

    def deliver(ledger: PostgresLedger) -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            drawn = ledger.budget.draw(Report(wanted=20, rate=rate))
            with lock:
                sent.extend(moments(drawn))
            time.sleep(0.02)

    began = time.monotonic()
    in_threads(deliver, three)
    sent.sort()
    assert sent[0] >= began
    seconds = sent[-1] - began
    assert len(sent) <= rate * seconds + 1, "never more than the rate allows"
    assert len(sent) >= 0.5 * rate * 1.5, "and most of it, however busy the machine is"


def test_a_limit_over_three_is_spent_to_the_last_record(three) -> None:
    for ledger in three:
        ledger.budget.join(Terms(limit=1_000))
    drawn: list[int] = []
    lock = threading.Lock()

    def deliver(ledger: PostgresLedger) -> None:
        back = 0
        while True:
            allowance = ledger.budget.draw(Report(records=21, given_back=back))
            if allowance.stop is not None:
                assert allowance.stop == "limit"
                assert allowance.records == 0
                return
            assert allowance.records is not None
            back = allowance.records // 3  # not all of it is used
            with lock:
                drawn.append(allowance.records - back)

    in_threads(deliver, three)
    assert sum(drawn) == 1_000


def test_what_a_dead_one_had_in_hand_keeps_nobody_waiting(three) -> None:
    first, second, _ = three
    for ledger in (first, second):
        ledger.budget.join(Terms(limit=10))
    assert first.budget.draw(Report(records=10)).records == 10
    waiting = second.budget.draw(Report(records=10))
    assert (waiting.records, waiting.stop) == (0, None), "some of it may come back"
    first.close()
    eventually(lambda: second.budget.draw(Report(records=10)).stop == "limit")


def test_a_request_to_be_quiet_is_heard_by_all_at_once(three) -> None:
    first, second, _ = (ledger.budget for ledger in three)
    for budget in (first, second):
        budget.join(Terms(rate=1_000))
    before = second.draw(Report(wanted=50, rate=1_000))
    assert before.requests > 0
    with second.notices() as notices:
        asked = time.monotonic()
        first.draw(Report(hush=0.8, rate=1_000))
        answered = time.monotonic()
        generation, seconds = notices(5) or (0, 0.0)
        assert generation == before.generation + 1
        assert 0 < seconds <= 0.8
        assert notices(0.01) is None
    began = time.monotonic()
    during = second.draw(Report(wanted=50, rate=1_000))
    way = time.monotonic() - began  # what is left is counted from when the answer came
    assert during.generation == before.generation + 1
    assert asked + 0.79 <= during.quiet_until <= answered + 0.81 + way
    assert during.requests == 0 or during.begins >= during.quiet_until - 0.01
    first.draw(Report(hush=0.1))
    assert second.draw(Report()).quiet_until >= during.quiet_until - 0.1, "never sooner"


def test_errors_and_time_are_counted_together(three) -> None:
    first, second, third = (ledger.budget for ledger in three)
    first.join(Terms(max_errors=3))
    for budget in (second, third):
        budget.join(Terms())
        assert budget.draw(Report(failed=1)).stop is None
    assert first.draw(Report(failed=2)).stop == "errors"
    found = second.draw(Report())
    assert (found.stop, found.failed, found.settled) == ("errors", 4, 4)
    for budget in (first, second, third):
        budget.leave()
    join_alone(third, seconds=0.2)
    assert third.draw(Report()).stop is None
    time.sleep(0.25)
    assert third.draw(Report()).stop == "time"


def test_a_share_of_errors_is_one_of_all_that_was_settled(three) -> None:
    first, second, _ = (ledger.budget for ledger in three)
    for budget in (first, second):
        budget.join(Terms(max_share=0.1, fair_sample=20))
    assert first.draw(Report(delivered=12, failed=3)).stop is None, "too few to say anything"
    assert second.draw(Report(delivered=20)).stop is None
    assert second.draw(Report(failed=1)).stop == "errors"


def test_answers_that_say_nothing_are_counted_over_all(three) -> None:
    first, second, _ = (ledger.budget for ledger in three)
    for budget in (first, second):
        budget.join(Terms(most_ambiguous=5))
    assert first.draw(Report(ambiguous=3)).stop is None
    assert second.draw(Report(ambiguous=1, answered=True)).stop is None, "one was clear meanwhile"
    assert first.draw(Report(ambiguous=3)).stop is None
    assert second.draw(Report(ambiguous=1)).stop == "down"


def test_who_came_first_says_the_rate_and_the_next_one_after_it(three) -> None:
    first, second, _ = (ledger.budget for ledger in three)
    for budget in (first, second):
        budget.join(Terms())
    known = first.draw(Report(wanted=10, rate=1.0))
    assert (known.requests, known.leads, known.others) == (1, True, 1)
    found = second.draw(Report(wanted=10, rate=70.0))
    assert (found.leads, found.rate) == (False, 1.0)
    first.draw(Report(rate=500.0))
    time.sleep(0.01)
    found = second.draw(Report(wanted=10))
    assert (found.requests, found.spacing) == (10, pytest.approx(0.002))
    first.leave()
    assert second.draw(Report(rate=70.0)).rate == 70.0


def test_what_one_was_refused_the_others_hear_of_once(three) -> None:
    first, second, _ = (ledger.budget for ledger in three)
    for budget in (first, second):
        budget.join(Terms())
    first.draw(Report(refused=((0.5, 40.0), (0.2, 41.0)), sent=7, accepted=5))
    found = second.draw(Report(sent=3))
    assert (found.sent, found.accepted) == (10, 5)
    assert [rate for _, rate in found.refusals] == [40.0, 41.0]
    assert found.refusals[0][0] == pytest.approx(time.monotonic() - 0.5, abs=0.2)
    assert second.draw(Report(heard=found.heard, refused=((0.1, 9.0),))).refusals == (), "its own"


def test_who_lost_its_connection_is_still_part_of_the_run(three) -> None:
    first, second, third = three
    first.budget.join(Terms(limit=10))
    cut(first)
    assert first.budget.draw(Report(records=4)).records == 4
    assert not second.budget.join(Terms(limit=500))[0]
    assert first.running
    assert not third.be_alone()


def test_who_comes_back_once_another_has_begun_a_run_hears_that_it_is_another_one(three) -> None:
    """Else it would wait for ever for records of a limit that the other run does not have."""
    first, second, _ = three
    first.budget.join(Terms(limit=10))
    first.take(0)
    cut(first)
    join_alone(second.budget, limit=500)
    with pytest.raises(OwnershipError, match="another process began a run"):
        first.budget.draw(Report(records=4))
    assert first.budget.join(Terms()) == (False, Terms(limit=500))


def test_who_comes_back_after_somebody_was_alone_with_the_job_begins_anew(three) -> None:
    """The job may be abandoned by then, and its rest with another one."""
    first, second, _ = three
    first.budget.join(Terms())
    cut(first)
    eventually(second.be_alone)
    second.close()
    with pytest.raises(OwnershipError, match="was alone with the job"):
        first.budget.draw(Report())


def test_who_is_alone_with_a_job_is_so_on_a_new_connection(three) -> None:
    first, second, _ = three
    assert first.be_alone()
    cut(first)
    first.set_meta("rest", "of this one")
    assert not second.be_alone()


def test_who_was_alone_writes_nothing_once_another_one_has_delivered_meanwhile(three) -> None:
    first, second, _ = three
    assert first.be_alone()
    cut(first)
    join_alone(second.budget)
    second.budget.leave()
    with pytest.raises(LedgerError, match="has begun to deliver the job since"):
        first.set_meta("rest", "of this one")
    assert second.get_meta("rest") is None


def test_nobody_joins_beside_a_decision(three) -> None:
    first, second, _ = three
    assert first.be_alone()
    assert not second.running
    with pytest.raises(BusyError, match="another process works on this job") as busy:
        second.budget.join(Terms())
    assert busy.value.exit_code == 11


@pytest.mark.parametrize("lost", ["answer", "call"])
def test_a_draw_without_an_answer_is_counted_once_and_gives_back_what_it_was_given(
    postgres, lost
) -> None:
    place = PostgresPlace(postgres.address)
    cuts = [lost]
    report = Report(
        sent=5, accepted=4, delivered=4, failed=1, refused=((0.1, 9.0),), ambiguous=1, records=3
    )
    with (
        wire_to(postgres.port) as wire,
        PostgresPlace(wire.address, place.schema).open(create=True) as ledger,
    ):
        ledger.budget.join(Terms(limit=10))
        assert ledger.budget.draw(Report(records=3)).records == 3
        wire.to_server, wire.to_client = losing(cuts, b'"stretch"')
        found = ledger.budget.draw(report)
        assert cuts == []
        counted = (found.sent, found.accepted, found.failed, found.settled, found.heard)
        assert counted == (5, 4, 1, 5, 1)
        assert found.records == 3
        (left,) = ledger._session.rows("SELECT records_left, ambiguous FROM budget")
        assert left == (4, 1)
