"""Tallies: for the ledger's slices of time, and for whoever watches."""

from __future__ import annotations

import pytest

from backfill.core.model import Attempt, Batch, Flow, Outcome, Settlement, State, Tick, Verdict
from backfill.deliver.run.run_metrics import Meter

OK = Verdict(Flow.DELIVERED)


def settlement(state: State, *ranges: tuple[int, int]) -> Settlement:
    return Settlement(Batch(0, 0, ranges), (Outcome(ranges, state),))


def test_a_tick_holds_what_is_new_and_adds_up():
    now = [1009.9]
    meter = Meter({}, 100, clock=lambda: now[0])
    meter.began(again=False)
    meter.began(again=True)
    meter.ended(Verdict(Flow.AGAIN, throttled=True), 0.001, replied=True)
    first = meter.tick([settlement(State.DELIVERED, (0, 3), (5, 6))])
    assert first == Tick(at=1000, sent=1, throttled=1, retried=1, delivered=4, latency={0: 1})
    now[0] = 1010.0
    second = meter.tick([settlement(State.FAILED, (8, 9)), settlement(State.UNKNOWN, (9, 11))])
    assert second == Tick(at=1010, sent=2, failed=1, unknown=2)


def test_a_request_counts_as_sent_with_the_settlement_that_ends_it():
    """Its intent counts until then, in the ledger: so a crash between takes none along."""
    meter = Meter({}, 100, clock=lambda: 0.0)
    meter.began(again=False)
    assert meter.tick([]).sent == 0
    batch = Batch(0, 0, ((0, 3),))
    assert meter.tick([Settlement(batch, attempt=Attempt("busy", 503))]).sent == 1
    assert meter.tick([Settlement(batch)]).sent == 0, "one that was taken back"


@pytest.mark.parametrize(
    ("seconds", "slot"),
    [(0.0, 0), (0.0005, 0), (0.001, 0), (0.0015, 1), (0.002, 2), (0.0029, 3), (0.1, 13), (30, 29)],
)
def test_two_slots_of_latency_for_each_doubling(seconds, slot):
    meter = Meter({}, 1, clock=lambda: 0.0)
    meter.began(again=False)
    meter.ended(OK, seconds, replied=True)
    assert meter.tick([]).latency == {slot: 1}


def test_what_never_replied_has_no_latency():
    meter = Meter({}, 1, clock=lambda: 0.0)
    meter.began(again=False)
    meter.ended(Verdict(Flow.AMBIGUOUS), 30.0, replied=False)
    assert meter.tick([]).latency == {}


def test_a_snapshot_has_the_rate_of_the_last_seconds():
    now = [0.0]
    meter = Meter({State.DELIVERED: 7}, 100, clock=lambda: now[0])
    rates = []
    for _ in range(100):  # ten seconds at 20 a second
        now[0] += 0.1
        for _ in range(2):
            meter.began(again=False)
            meter.ended(OK, 0.01, replied=True)
        rates.append(meter.snapshot(limit=None, quiet_until=0.0).rate)
    assert rates[-1] == pytest.approx(20, rel=0.05)
    now[0] += 30
    idle = meter.snapshot(limit=5.0, quiet_until=99.0)
    assert idle.rate < 1
    assert (idle.delivered, idle.pending, idle.sent, idle.in_flight) == (7, 93, 200, 0)
    assert (idle.limit, idle.quiet_until) == (5.0, 99.0)


def test_the_rate_follows_within_five_seconds_and_begins_at_none():
    now = [100.0]
    meter = Meter({}, 1_000, clock=lambda: now[0])
    assert meter.snapshot(limit=None, quiet_until=0.0).rate == 0.0
    rates = []
    for second in range(20):  # ten seconds at 20 a second, and ten at 4
        now[0] += 1
        for _ in range(20 if second < 10 else 4):
            meter.began(again=False)
        rates.append(meter.snapshot(limit=None, quiet_until=0.0).rate)
    assert rates[:10] == [20.0] * 10
    assert rates[11] == pytest.approx((3 * 20 + 2 * 4) / 5)
    assert rates[14:] == [4.0] * 6


def test_what_came_to_rest_counts_from_the_jobs_other_runs_on():
    meter = Meter(
        {State.DELIVERED: 7, State.FAILED: 5, State.UNKNOWN: 3, State.PENDING: 85},
        100,
        clock=lambda: 0.0,
    )
    meter.count(Tick(at=0, delivered=1, failed=2, unknown=4))
    meter.count(Tick(at=10, failed=1))
    seen = meter.snapshot(limit=None, quiet_until=0.0)
    assert (seen.delivered, seen.failed, seen.unknown, seen.pending) == (8, 8, 7, 77)


def test_answers_count_by_status_and_words_and_those_that_differ_in_numbers_together():
    meter = Meter({}, 10, clock=lambda: 0.0)
    for words, status in [
        ("item 3: bad", 400),
        ("item 41: bad", 400),
        ("HTTP 500", 500),
        ("HTTP 500", 500),
        ("HTTP 503", 503),
        ("", None),
    ]:
        meter.began(again=False)
        meter.ended(Verdict(Flow.AGAIN, reason=words, http_status=status), 0.1, replied=True)
    meter.began(again=False)
    meter.ended(OK, 0.1, replied=True)
    assert meter.answers() == (
        ("400 item 3: bad", 2),
        ("500 HTTP 500", 2),
        ("503 HTTP 503", 1),
        ("no reply", 1),
    )
