"""A refusal of a token bucket tells its burst for each rate; two of them tell the rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.deliver.pacing.refusal_cycle import Cycle
from tests.deliver.pacing.limiters import Bucket


def until_refused(bucket: Bucket, rate: float, now: float = 0.0) -> Cycle:
    cycle, number = Cycle(now, 0), 0
    while not bucket.take(now):
        cycle.sent(now, number)
        number += 1
        now += 1 / rate
    cycle.close(now, number)
    return cycle


@given(st.integers(5, 200), st.integers(1, 400), st.floats(1.2, 4.0))
def test_the_burst_of_a_bucket_is_seen_at_its_rate(limit: int, burst: int, over: float) -> None:
    cycle = until_refused(Bucket(limit, burst), over * limit)
    assert cycle.burst_at(limit) == pytest.approx(burst, abs=1.0 + 0.02 * cycle.requests)


@given(st.floats(0.05, 10.0))
def test_what_left_lately_is_counted_between_the_points_too(seconds: float) -> None:
    cycle = until_refused(Bucket(50.0, 1000.0), 100.0)
    seconds = min(seconds, cycle.seconds)
    assert cycle.within(seconds) == pytest.approx(100.0 * seconds, abs=3.0)


@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.booleans()), min_size=2, max_size=60),
    st.floats(0.0, 3.0),
    st.booleans(),
)
def test_what_others_sent_counts_as_if_it_had_been_known_at_once(
    requests: list[tuple[float, bool]], end: float, known_before: bool
) -> None:
    requests.sort()
    own = [at for at, by_others in requests if not by_others]
    others = [at for at, by_others in requests if by_others]
    cycle = Cycle(0.0, 0)
    for number, at in enumerate(own):
        cycle.sent(at, number)
    if known_before:
        for at in others:
            cycle.insert(at, 1)
        cycle.close(end, cycle.points[0][1] + sum(at <= end for at, _ in requests))
    else:
        cycle.close(end, sum(at <= end for at in own))
        for at in others:
            cycle.insert(at, 1)
    assert cycle.requests == sum(at <= end for at, _ in requests)
    for moment, before in cycle.points[1:]:
        assert before == sum(at < moment for at in others) + own.index(moment)


def test_a_cycle_of_days_keeps_few_points() -> None:
    cycle = Cycle(0.0, 0)
    for number in range(100_000):
        cycle.sent(number * 3.0, number)
    assert len(cycle.points) <= 256
    assert cycle.points[0] == (0.0, 0)


def test_a_cycle_in_which_no_time_passed_tells_of_no_rate() -> None:
    """Found by simulation: a server that refused twice at one moment ended the run with a fault."""
    cycle = Cycle(5.0, 1)
    cycle.close(5.0, 3)
    assert cycle.sustained(0.0) == 0.0
    assert cycle.sustained(0.5) == 4.0
