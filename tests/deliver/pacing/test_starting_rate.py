"""Before anything is known of a limit the rate doubles, but not beyond what a refusal may cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.deliver.pacing.starting_rate import FIRST, starting_rate


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
