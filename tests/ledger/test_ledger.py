"""What a ledger keeps, adds up, recovers and refuses, in SQLite and in PostgreSQL."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backfill.core.errors import LedgerError
from backfill.core.model import Attempt, Batch, Outcome, RequestCounts, Settlement, State, Tick
from backfill.ledger import Ledger
from backfill.ledger.postgres import PostgresLedger
from backfill.ledger.protocol import AnyLedger
from tests.ledger.places import Place, PostgresPlace
from tests.ledger.postgres.server import PostgresServer


@pytest.fixture
def ledger(place: Place) -> Iterator[AnyLedger]:
    with place.open(create=True, clock=itertools.count(1000).__next__) as ledger:
        yield ledger


def batch(start: int, stop: int, *, lane: int = 0, bucket: int = 0) -> Batch:
    return Batch(bucket, lane, ((start, stop),))


def settle(sent: Batch, state: State = State.DELIVERED, reason: str = "", **more) -> Settlement:
    return Settlement(sent, (Outcome(sent.ranges, state, reason, **more),))


def spans(ledger: AnyLedger) -> list[tuple[int, int, str]]:
    columns = ledger.outcome_columns()
    return list(zip(columns["start"], columns["stop"], columns["state"], strict=True))


def test_equal_neighbours_of_a_lane_become_one_span(ledger: AnyLedger) -> None:
    before: list[Settlement] = []
    for start in range(0, 50, 10):
        sent = batch(start, start + 10)
        ledger.commit(before, [sent])
        before = [settle(sent, http_status=201)]
    ledger.commit(before, [])
    assert spans(ledger) == [(0, 50, "delivered")]
    assert ledger.settled(0) == [(0, 50)]
    assert ledger.outcome_columns()["at"] == [1005]


def test_neighbours_that_differ_in_their_words_stay_apart(ledger: AnyLedger) -> None:
    first, second = batch(0, 5), batch(5, 9)
    ledger.commit([], [first])
    ledger.commit([settle(first, request_id="a")], [second])
    ledger.commit([settle(second, request_id="b")], [])
    assert spans(ledger) == [(0, 5, "delivered"), (5, 9, "delivered")]
    assert ledger.settled(0) == [(0, 9)], "what is left to do does not depend on the words"


def test_a_lane_goes_on_with_its_span_after_reopening(ledger: AnyLedger, place: Place) -> None:
    first, second = batch(0, 5), batch(5, 9)
    ledger.commit([], [first])
    ledger.commit([settle(first)], [])
    ledger.close()
    with place.open() as again:
        again.commit([], [second])
        again.commit([settle(second)], [])
        assert spans(again) == [(0, 9, "delivered")]


def test_records_without_an_outcome_are_pending_again(ledger: AnyLedger) -> None:
    sent = batch(0, 10)
    ledger.commit([], [sent])
    outcome = Outcome(((3, 4),), State.FAILED, "bad number", 400, "r-1")
    rest = Batch(0, 0, ((0, 3), (4, 10)))
    ledger.commit([Settlement(sent, (outcome,))], [rest])
    assert ledger.settled(0) == [(3, 4)]
    ledger.commit([settle(rest)], [])
    assert list(ledger.outcomes(State.FAILED)) == [(0, outcome, 1001)]
    assert spans(ledger) == [(0, 3, "delivered"), (3, 4, "failed"), (4, 10, "delivered")]
    assert ledger.counts() == {State.DELIVERED: 9, State.FAILED: 1, State.UNKNOWN: 0}


def test_records_of_one_batch_that_came_to_rest_alike_are_one_span(ledger: AnyLedger) -> None:
    sent = batch(0, 10)
    ledger.commit([], [sent])
    outcomes = tuple(
        Outcome(((at, at + 1),), State.FAILED, "bad number" if at < 6 else "too long", 400)
        for at in (7, 3, 4, 6, 5)
    )
    ledger.commit([Settlement(sent, outcomes)], [])
    found = [(outcome.ranges, outcome.reason) for _, outcome, _ in ledger.outcomes()]
    assert found == [(((3, 6),), "bad number"), (((6, 8),), "too long")]


def test_a_batch_that_was_taken_back_is_pending_as_a_whole(ledger: AnyLedger) -> None:
    sent = batch(0, 10)
    ledger.commit([], [sent])
    ledger.commit([Settlement(sent)], [])
    assert ledger.in_flight() == 0
    assert ledger.settled(0) == []
    ledger.commit([], [sent])


def test_buckets_have_positions_of_their_own(ledger: AnyLedger) -> None:
    here, there = batch(0, 5), batch(0, 7, bucket=3)
    ledger.commit([], [here, there])
    ledger.commit([settle(here), settle(there)], [])
    assert ledger.settled(0) == [(0, 5)]
    assert ledger.settled(3) == [(0, 7)]
    assert ledger.settled(1) == []


def test_what_is_in_flight_becomes_unknown_when_the_ledger_is_opened(
    ledger: AnyLedger, place: Place
) -> None:
    ledger.commit([], [Batch(0, 0, ((0, 3), (5, 8))), batch(20, 22, lane=1)])
    ledger.close()
    with place.open() as again:
        assert again.recovered == 8
        assert again.counts()[State.UNKNOWN] == 8
        assert again.settled(0) == [(0, 3), (5, 8), (20, 22)]
    with place.open() as once_more:
        assert once_more.recovered == 0
        assert once_more.counts()[State.UNKNOWN] == 8


def test_requests_in_flight_count_as_sent_once_also_where_their_process_ended(
    ledger: AnyLedger, place: Place
) -> None:
    ledger.commit([], [batch(0, 3)])
    flying = [Batch(0, 0, ((3, 5), (6, 9))), batch(20, 22, lane=1), batch(0, 4, bucket=3)]
    ledger.commit([settle(batch(0, 3))], flying, Tick(60, sent=1, delivered=3))
    assert ledger.requests().sent == 4
    ledger.close()
    for _ in range(2):
        with place.open() as again:
            assert again.requests() == RequestCounts(sent=4)
            assert again.ticks() == [Tick(60, sent=4, delivered=3)], "when it was heard of last"


def test_requests_in_flight_count_where_nothing_came_to_rest_before(
    ledger: AnyLedger, place: Place
) -> None:
    ledger.commit([], [batch(0, 3)])
    ledger.close()
    with place.open() as again:
        assert again.requests() == RequestCounts(sent=1)


def test_an_intent_that_is_taken_back_was_no_request(ledger: AnyLedger) -> None:
    ledger.commit([], [batch(0, 3)])
    ledger.commit([Settlement(batch(0, 3))], [])
    assert ledger.requests() == RequestCounts()


def test_ticks_add_up_by_slice_and_requests_over_all_of_them(ledger: AnyLedger) -> None:
    ledger.commit([], [], Tick(60, sent=2, throttled=1, latency={3: 1, 4: 1}))
    ledger.commit([], [], Tick(60, sent=3, delivered=2, latency={4: 2}))
    ledger.commit([], [], Tick(70, sent=1, retried=1, unknown=1))
    assert ledger.ticks() == [
        Tick(60, sent=5, throttled=1, delivered=2, latency={3: 1, 4: 3}),
        Tick(70, sent=1, retried=1, unknown=1),
    ]
    assert ledger.requests() == RequestCounts(sent=6, throttled=1, retried=1)


def test_a_new_ledger_knows_nothing(ledger: AnyLedger) -> None:
    assert ledger.recovered == 0
    assert ledger.counts() == {State.DELIVERED: 0, State.FAILED: 0, State.UNKNOWN: 0}
    assert ledger.requests() == RequestCounts()
    assert ledger.ticks() == []
    assert list(ledger.outcomes()) == []
    assert set(map(tuple, ledger.outcome_columns().values())) == {()}
    assert ledger.quiet_until() == 0
    assert ledger.get_meta("rate") is None


def test_small_facts_survive(ledger: AnyLedger, place: Place) -> None:
    ledger.set_meta("rate", "12.5")
    ledger.set_facts({"rate": "13.5", "words": "a 'quote', \\u0000 and a \u202e"})
    ledger.set_quiet_until(1_800_000_000.25)
    ledger.close()
    with place.open() as again:
        assert again.get_meta("rate") == "13.5"
        assert again.get_meta("words") == "a 'quote', \\u0000 and a \u202e"
        assert again.quiet_until() == pytest.approx(1_800_000_000.25, abs=1)


def test_a_ledger_is_closed_where_its_block_ends(place: Place) -> None:
    with place.open(create=True) as ledger:
        ledger.set_meta("rate", "1")
    with pytest.raises(LedgerError):
        ledger.get_meta("rate")


def test_a_clock_that_was_ahead_makes_no_quiet_longer_than_was_asked_for(place: Place) -> None:
    now, day = 1_800_000_000.0, 86_400.0
    with place.open(create=True, clock=lambda: now + day) as ledger:
        ledger.set_quiet_until(now + day + 30)
        assert ledger.quiet_until() == now + day + 30
    with place.open(clock=lambda: now) as ledger:
        assert ledger.quiet_until() == now + 30
    with place.open(clock=lambda: now + 20) as ledger:
        assert ledger.quiet_until() == now + 30


def test_a_wait_counts_from_when_it_was_asked_for_though_it_was_written_down_later(tmp_path: Path):
    """Found by simulation: a machine was frozen in between, and the clock was set an hour ahead and
    back again. What was asked for then counted from when it was written down.
    """
    now, path = 1_800_000_000.0, tmp_path / "ledger.sqlite"
    with Ledger.open(path, create=True, clock=lambda: now + 3600) as ledger:
        ledger.set_quiet_until(now + 4000, asked_at=now)
    with Ledger.open(path, clock=lambda: now + 100) as ledger:
        assert ledger.quiet_until() == now + 4000


def test_a_wait_in_a_shared_ledger_is_as_long_for_machines_whose_clocks_are_hours_apart(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by simulation: a deliverer refused to run for hours, because the one that was asked to
    wait had a clock that was ahead.
    """
    right, place = time.time, PostgresPlace(postgres.address)
    monkeypatch.setattr(time, "time", lambda: right() + 7200)
    with place.open(create=True) as ledger:
        ledger.set_quiet_until(time.time() + 30, asked_at=time.time())
        assert ledger.quiet_until() == pytest.approx(time.time() + 30, abs=5)
    monkeypatch.setattr(time, "time", lambda: right() - 7200)
    with place.look() as ledger:
        assert ledger.quiet_until() == pytest.approx(time.time() + 30, abs=5)


def test_outcomes_come_by_bucket_and_position_over_many_pages(
    ledger: AnyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backfill.ledger.reading._PAGE", 3)
    sent = [batch(2 * i, 2 * i + 1, lane=i, bucket=i % 2) for i in range(10)]
    ledger.commit([], sent)
    ledger.commit([settle(each) for each in sent], [])
    order = [(bucket, outcome.ranges[0][0]) for bucket, outcome, _ in ledger.outcomes()]
    assert order == sorted((each.bucket, each.ranges[0][0]) for each in sent)
    assert len(ledger.outcome_columns(State.DELIVERED)["at"]) == 10
    assert ledger.outcome_columns(State.FAILED)["at"] == []


class TestDecisionsByHand:
    @pytest.fixture(autouse=True)
    def mixed(self, ledger: AnyLedger) -> None:
        sent = batch(0, 10)
        ledger.commit([], [sent])
        outcomes = (
            Outcome(((0, 5),), State.DELIVERED),
            Outcome(((5, 7),), State.FAILED, "too long", 400),
            Outcome(((7, 10),), State.UNKNOWN, "timed out", None, "r-9"),
        )
        ledger.commit([Settlement(sent, outcomes)], [])

    def test_retry_makes_failed_records_pending(self, ledger: AnyLedger) -> None:
        assert ledger.retry() == 2
        assert ledger.settled(0) == [(0, 5), (7, 10)]
        assert ledger.retry() == 0
        [(_, records, said)] = ledger.attempts(0, 6)
        assert (records, said.http_status) == (2, 400)
        assert said.reason == "settled by hand as pending (before: too long)"
        assert ledger.attempts(0, 4) == ledger.attempts(0, 7) == []

    def test_resend_makes_unknown_records_pending(self, ledger: AnyLedger) -> None:
        assert ledger.resolve(State.PENDING) == 3
        assert ledger.settled(0) == [(0, 7)]
        [(_, _, said)] = ledger.attempts(0, 9)
        assert said == Attempt("settled by hand as pending (before: timed out)", None, "r-9")

    @pytest.mark.parametrize("to", [State.DELIVERED, State.FAILED])
    def test_settling_by_hand_keeps_what_was_known(self, ledger: AnyLedger, to: State) -> None:
        assert ledger.resolve(to) == 3
        assert ledger.counts()[State.UNKNOWN] == 0
        last = list(ledger.outcomes(to))[-1][1]
        assert last.reason == f"settled by hand as {to.value} (before: timed out)"
        assert last.request_id == "r-9"

    def test_a_retried_record_is_delivered_beside_its_neighbours(self, ledger: AnyLedger) -> None:
        ledger.retry()
        again = batch(5, 7)
        ledger.commit([], [again])
        ledger.commit([settle(again)], [])
        assert ledger.counts() == {State.DELIVERED: 7, State.FAILED: 0, State.UNKNOWN: 3}

    @pytest.mark.parametrize("to", [State.DELIVERED, State.FAILED])
    def test_what_was_settled_by_hand_is_left_as_it_is_by_the_next_outcomes(
        self, ledger: AnyLedger, to: State
    ) -> None:
        ledger.resolve(to)
        before = list(ledger.outcomes())
        again = batch(10, 12)
        ledger.commit([], [again])
        ledger.commit([settle(again, State.UNKNOWN, "timed out", request_id="r-9")], [])
        assert list(ledger.outcomes())[:-1] == before
        assert ledger.counts()[State.UNKNOWN] == 2

    def test_nothing_is_settled_by_hand_while_requests_are_in_flight(
        self, ledger: AnyLedger
    ) -> None:
        ledger.commit([], [batch(10, 12)])
        for decide in (ledger.retry, lambda: ledger.resolve(State.DELIVERED)):
            with pytest.raises(LedgerError, match="in flight"):
                decide()
        assert ledger.counts() == {State.DELIVERED: 5, State.FAILED: 2, State.UNKNOWN: 3}

    def test_an_unknown_record_is_not_resolved_as_unknown(self, ledger: AnyLedger) -> None:
        with pytest.raises(ValueError, match="unknown"):
            ledger.resolve(State.UNKNOWN)


REFUSED: list[tuple[list[Settlement], list[Batch], str]] = [
    ([settle(batch(5, 9))], [], r"bucket 0, lane 0 \(5 to 9\) is settled, .*not in flight"),
    ([settle(batch(0, 5))], [], "not in flight"),
    ([settle(batch(5, 10)), settle(batch(5, 10))], [], "not in flight"),
    ([], [batch(10, 12)], "while its lane is in flight"),
    ([], [batch(20, 22, lane=1), batch(22, 24, lane=1)], "while its lane is in flight"),
    ([], [batch(3, 6, lane=1)], "0 to 5 is delivered"),
    ([], [batch(4, 5, lane=1)], "0 to 5 is delivered"),
    ([], [batch(9, 12, lane=1)], "5 to 10 is in flight"),
    ([], [batch(9, 10, lane=1)], "5 to 10 is in flight"),
    ([], [batch(5, 10, lane=1)], "two started batches overlap"),
    ([], [batch(20, 25, lane=1), batch(22, 23, lane=2)], "20 to 25 is in flight"),
    ([], [batch(20, 25, lane=1), batch(24, 25, lane=2)], "20 to 25 is in flight"),
    ([], [batch(20, 25, lane=1), batch(20, 25, lane=2)], "two started batches overlap"),
    ([], [batch(20, 22, lane=1), batch(3, 6, lane=2)], "lane 2 .* 0 to 5 is delivered"),
    ([], [batch(20, 22, lane=1), batch(9, 12, lane=2)], "lane 2 .* 5 to 10 is in flight"),
    ([settle(batch(5, 10))], [batch(5, 6)], "5 to 10|0 to 10"),
    ([], [Batch(0, 1, ())], r"lane 1 \(nothing\) holds no records"),
    ([], [Batch(0, 1, ((30, 30),))], "ascending"),
    ([], [Batch(0, 1, ((30, 35), (33, 36)))], "ascending"),
    ([settle(batch(5, 10), State.PENDING)], [], "comes to rest"),
    *(
        ([Settlement(batch(5, 10), (Outcome((part,), State.FAILED),))], [], words)
        for part, words in [
            ((4, 6), "4 to 6, which is not a part of it"),
            ((8, 11), "8 to 11, which is not a part of it"),
            ((7, 7), "7 to 7, which is not a part of it"),
        ]
    ),
    *(
        (
            [
                Settlement(
                    batch(5, 10),
                    (Outcome((one,), State.FAILED), Outcome((other,), State.DELIVERED)),
                )
            ],
            [],
            "position 6 of .* is settled twice",
        )
        for one, other in [((5, 7), (6, 8)), ((5, 10), (6, 7)), ((6, 7), (5, 10))]
    ),
]
"""Outcomes and intents that no ledger takes where 0 to 5 is delivered and 5 to 10 in flight."""


class TestContradictions:
    """Whoever breaks the order of things is told so, and nothing of the step is written."""

    @pytest.fixture(autouse=True)
    def begun(self, ledger: AnyLedger) -> None:
        first = batch(0, 5)
        ledger.commit([], [first])
        ledger.commit([settle(first)], [batch(5, 10)])

    def test_it_is_refused_in_words(self, ledger: AnyLedger) -> None:
        before = (spans(ledger), ledger.in_flight(), ledger.requests())
        for settled, started, words in REFUSED:
            with pytest.raises(LedgerError, match=words):
                ledger.commit(settled, started, Tick(0, sent=1))
            found = (spans(ledger), ledger.in_flight(), ledger.requests())
            assert found == before, (settled, started)
        good = batch(5, 10)
        ledger.commit([settle(good)], [])
        assert ledger.counts()[State.DELIVERED] == 10

    @pytest.mark.parametrize(
        ("tampering", "words"),
        [
            ("DELETE FROM flight", "an intent that was written down is not there any more"),
            ("UPDATE flight SET lane = 9", "an intent that was written down is not there any more"),
            ("UPDATE span SET stop = 4", "a span that was written down is not there any more"),
            ("DELETE FROM span", "a span that was written down is not there any more"),
        ],
    )
    def test_a_file_that_is_not_what_memory_takes_it_for_is_not_written_to(
        self, ledger: AnyLedger, place: Place, tampering: str, words: str
    ) -> None:
        place.tamper(tampering)
        before = (spans(ledger), ledger.in_flight())
        with pytest.raises(LedgerError, match=words):
            ledger.commit([settle(batch(5, 10))], [batch(10, 12)])
        assert (spans(ledger), ledger.in_flight()) == before

    def test_a_position_that_was_settled_twice_in_the_file_is_found(
        self, ledger: AnyLedger, place: Place
    ) -> None:
        for start, stop in [(20, 30), (28, 29)]:
            columns = "bucket, start, stop, state, reason, cause, at"
            values = f"0, {start}, {stop}, 'failed', '', 'reply', 0"
            place.tamper(f"INSERT INTO span ({columns}) VALUES ({values})")  # noqa: S608
        with pytest.raises(LedgerError, match="position 28 of bucket 0 is settled twice") as error:
            ledger.settled(0)
        assert error.value.where == ledger.where


def test_the_memory_of_last_spans_is_bounded_and_forgetting_costs_nothing(
    ledger: AnyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backfill.ledger.lane_cache.MOST_TAILS", 2)
    for half in (0, 5):
        sent = [batch(10 * i + half, 10 * i + half + 5, lane=i) for i in range(8)]
        ledger.commit([], sent)
        ledger.commit([settle(each) for each in sent], [])
    assert isinstance(ledger, Ledger | PostgresLedger)
    assert len(ledger._memory.tails) <= 2
    assert ledger.settled(0) == [(0, 80)]
    assert ledger.counts()[State.DELIVERED] == 80


def test_only_what_a_crash_left_behind_is_sent_again_for_at_least_once(place: Place) -> None:
    with place.open(create=True) as ledger:
        odd, lost = batch(0, 2), batch(2, 5)
        ledger.commit([], [odd])
        ledger.commit([settle(odd, State.UNKNOWN, "201 without a readable `ok`")], [lost])
    with place.open() as ledger:
        assert ledger.counts()[State.UNKNOWN] == 5
        assert ledger.resend_lost() == 3
        assert ledger.settled(0) == [(0, 2)]
        assert len(ledger.attempts(0, 2)) == 1
        assert ledger.attempts(0, 1) == []
        assert ledger.resend_lost() == 0
        ledger.commit([], [lost])


def test_the_address_is_written_down_with_the_first_intent(place: Place) -> None:
    with place.open(create=True) as ledger:
        ledger.bind_address("https://api.example.com")
        assert ledger.address() is None
        with pytest.raises(LedgerError):
            ledger.commit([settle(batch(0, 5))], [batch(0, 5)])
        assert ledger.address() is None
        ledger.commit([], [batch(0, 5)])
        assert ledger.address() == "https://api.example.com"
    with place.open() as ledger:
        assert ledger.address() == "https://api.example.com"
        ledger.release_address()
        assert ledger.address() is None


def test_looking_changes_nothing_in_either(place: Place) -> None:
    with place.open(create=True) as ledger:
        ledger.commit([], [batch(0, 5)])
        with place.look() as look:
            assert look.in_flight() == 5
            assert look.recovered == 0
            with pytest.raises(LedgerError, match="look at it only"):
                look.commit([], [batch(5, 6)])
            with pytest.raises(LedgerError, match="look at it only"):
                look.set_meta("a", "b")
        ledger.commit([settle(batch(0, 5))], [])
