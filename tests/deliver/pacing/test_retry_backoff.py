"""A batch that gets no clear answer rests longer and longer, and ambiguous ones come to an end."""

from __future__ import annotations

import random

import pytest

from backfill.core.model import Flow, Verdict
from backfill.deliver.pacing.retry_backoff import MOST_AMBIGUOUS, BatchRetries

AMBIGUOUS = Verdict(Flow.AMBIGUOUS, http_status=500)
NOT_REACHED = Verdict(Flow.AGAIN, reason="connection refused")
THROTTLED = Verdict(Flow.AGAIN, http_status=429, throttled=True)
CLEAR = Verdict(Flow.DELIVERED, http_status=201)


class Longest(random.Random):
    """The longest wait that chance may choose."""

    def uniform(self, a: float, b: float) -> float:
        return b


def rests(retries, verdict, count):
    return [retries.ended(verdict, again=True) for _ in range(count)]


@pytest.mark.parametrize("verdict", [AMBIGUOUS, NOT_REACHED])
def test_the_third_try_and_later_ones_wait_twice_as_long_up_to_ten_seconds(verdict):
    found = rests(BatchRetries(Longest()), verdict, 9)
    assert found == [0, 0, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_clear_answer_ends_the_waiting():
    retries = BatchRetries(Longest())
    assert rests(retries, AMBIGUOUS, 4)[-1] == 1
    assert retries.ended(CLEAR, again=False) == 0
    assert rests(retries, AMBIGUOUS, 3) == [0, 0, 0.5]


def test_throttling_is_waited_for_by_all_lanes_and_by_none_alone():
    retries = BatchRetries(Longest())
    assert set(rests(retries, THROTTLED, 20)) == {0}
    assert not retries.last
    assert rests(retries, AMBIGUOUS, 3) == [0, 0, 0.5]


def test_only_ambiguous_answers_come_to_an_end():
    retries = BatchRetries(Longest())
    rests(retries, NOT_REACHED, 50)
    assert not retries.last
    rests(retries, AMBIGUOUS, MOST_AMBIGUOUS - 2)
    assert not retries.last
    rests(retries, AMBIGUOUS, 1)
    assert retries.last
    retries.ended(AMBIGUOUS, again=False)
    assert not retries.last
