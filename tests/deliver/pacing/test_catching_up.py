"""What comes soon after another request is tried step by step, and refused ones tell apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.deliver.pacing.catching_up import CatchingUp
from tests.deliver.pacing.limiters import Bucket, LeakyQueue, Limiter
from tests.deliver.pacing.simulation import simulate

RATE = 100.0


def seen(*aheads: float) -> CatchingUp:
    found = CatchingUp()
    for ahead in aheads:
        found.accepted(ahead, RATE)
    return found


def test_what_is_accepted_some_times_is_doubled() -> None:
    found = seen(*[1.0] * 5)
    assert found.allowed == 2.0
    for _ in range(5):
        found.accepted(2.0, RATE)
    assert found.allowed == 4.0


def test_a_refused_request_that_came_sooner_than_the_others_ends_it() -> None:
    found = seen(*[0.05] * 50)
    assert found.refused(0.6, RATE)
    assert found.allowed == 0.0
    assert found.even


def test_one_that_came_no_sooner_than_others_speaks_of_the_rate() -> None:
    found = seen(*[0.05] * 50, 0.7, 0.7)
    assert not found.refused(0.6, RATE)
    assert found.allowed == 1.0


def test_it_is_tried_again_much_later() -> None:
    found = seen(*[0.05] * 50)
    assert found.refused(0.6, RATE)
    for _ in range(500):
        found.accepted(0.0, RATE)
    assert found.allowed == 1.0


def test_what_was_seen_at_a_much_lower_rate_proves_nothing() -> None:
    found = seen(*[1.0] * 5)
    found.accepted(0.0, 2 * RATE)
    assert found.allowed == 1.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 8.0), st.floats(0.01, 1e4))))
def test_it_never_leaves_its_bounds(answers: list[tuple[bool, float, float]]) -> None:
    found = CatchingUp()
    for accepted, ahead, rate in answers:
        if accepted:
            found.accepted(ahead, rate)
        else:
            found.refused(ahead, rate)
        assert 0.0 <= found.allowed <= 64.0


NONE_AT_ONCE: dict[str, Callable[[], Limiter]] = {
    "bucket of one": lambda: Bucket(150.0, 1),
    "no queue": lambda: LeakyQueue(150.0, 0),
}


@pytest.mark.parametrize("says_when", [False, True], ids=["silent", "says when"])
@pytest.mark.parametrize("name", NONE_AT_ONCE)
def test_a_server_that_allows_no_two_at_once_is_sent_to_evenly(
    name: str, *, says_when: bool
) -> None:
    """With such timers one that knew the limit would come to 0.67 of it, and to 0.64 where each
    refusal costs a second.
    """
    found = simulate(NONE_AT_ONCE[name](), requests=15_000, says_when=says_when, late=0.004)
    assert found.share(150.0) >= (0.56 if says_when else 0.6)
    assert found.refusals() <= 0.002
    assert not found.early
