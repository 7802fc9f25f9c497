"""A batch that gets no clear answer rests longer and longer, and ambiguous ones come to an end."""

from __future__ import annotations

import random

import pytest

from backfill.deliver.tries import MOST_AMBIGUOUS, Tries
from backfill.model import Flow, Verdict

AMBIGUOUS = Verdict(Flow.AMBIGUOUS, http_status=500)
NOT_REACHED = Verdict(Flow.AGAIN, reason="connection refused")
THROTTLED = Verdict(Flow.AGAIN, http_status=429, throttled=True)
CLEAR = Verdict(Flow.DELIVERED, http_status=201)


class Longest(random.Random):
    """The longest wait that chance may choose."""

    def uniform(self, a: float, b: float) -> float:
        return b


def rests(tries, verdict, count):
    return [tries.ended(verdict, again=True) for _ in range(count)]


@pytest.mark.parametrize("verdict", [AMBIGUOUS, NOT_REACHED])
def test_the_third_try_and_later_ones_wait_twice_as_long_up_to_ten_seconds(verdict):
    found = rests(Tries(Longest()), verdict, 9)
    assert found == [0, 0, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_clear_answer_ends_the_waiting():
    tries = Tries(Longest())
    assert rests(tries, AMBIGUOUS, 4)[-1] == 1
    assert tries.ended(CLEAR, again=False) == 0
    assert rests(tries, AMBIGUOUS, 3) == [0, 0, 0.5]


def test_throttling_is_waited_for_by_all_lanes_and_by_none_alone():
    tries = Tries(Longest())
    assert set(rests(tries, THROTTLED, 20)) == {0}
    assert not tries.last
    assert rests(tries, AMBIGUOUS, 3) == [0, 0, 0.5]


def test_only_ambiguous_answers_come_to_an_end():
    tries = Tries(Longest())
    rests(tries, NOT_REACHED, 50)
    assert not tries.last
    rests(tries, AMBIGUOUS, MOST_AMBIGUOUS - 2)
    assert not tries.last
    rests(tries, AMBIGUOUS, 1)
    assert tries.last
    tries.ended(AMBIGUOUS, again=False)
    assert not tries.last
