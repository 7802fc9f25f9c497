"""Before anything is known of a limit the rate doubles, but not beyond what a refusal may cost, nor
beyond what is used.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.deliver.pacing.refusal_cycle import Cycle
from backfill.deliver.pacing.starting_rate import FIRST, RecentUse, rate_at_end, starting_rate


def test_it_doubles_while_few_requests_are_in_flight() -> None:
    rates = [starting_rate(seconds, 0, 1e9, 0.001) for seconds in (0.0, 0.4, 0.8, 1.2)]
    assert rates == pytest.approx([FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST])


@given(st.floats(0, 100), st.integers(0, 10**6), st.floats(0.001, 10), st.floats(20, 1e5))
def test_what_is_in_flight_at_the_first_refusal_is_bounded(
    passed: float, sent: int, round_trip: float, used: float
) -> None:
    rate = starting_rate(passed, sent, used, round_trip)
    assert rate == FIRST or rate <= 2 * used
    assert rate == FIRST or rate * round_trip <= 3 + passed + passed**2 + 0.01 * sent


@pytest.mark.parametrize(
    ("others", "left", "expected"),
    [(0, 20, 100.0), (10, 20, 100.0), (10, 15, 75.0), (10, 5, 50.0)],
    ids=["alone", "as fast as was meant", "slower", "stood still for a moment"],
)
def test_several_runs_end_at_the_rate_that_they_really_sent_at(
    others: int, left: int, expected: float
) -> None:
    cycle = Cycle(0.0, 0)
    cycle.sent(0.75, 0)
    cycle.insert(0.5, others)  # before the last quarter of a second, of which the rate is told
    cycle.close(1.0, others + left)
    assert rate_at_end(cycle, 100.0) == pytest.approx(expected)


def test_the_use_of_a_rate_follows_what_is_sent() -> None:
    use = RecentUse(0.0, 32.0)
    assert use.rate == 32.0
    for serial in range(1, 101):
        use.sent(serial / 50, serial)
    assert use.rate == pytest.approx(50.0)


def test_a_pause_does_not_lower_the_use() -> None:
    use = RecentUse(0.0, 32.0)
    for serial in range(1, 101):
        use.sent(serial / 50, serial)
    use.paused(60.0, 100)
    for serial in range(101, 201):
        use.sent(60.0 + (serial - 100) / 50, serial)
    assert use.rate == pytest.approx(50.0)
