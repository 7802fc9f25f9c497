"""The length of a server's window is guessed among those that are usual."""

from __future__ import annotations

import pytest

from backfill.deliver.pacing.refusal_cycle import Cycle
from backfill.deliver.pacing.usual_windows import Seconds, soonest_end, usual_window


@pytest.mark.parametrize(
    ("least", "most", "seconds"),
    [(9.2, 10.3, 10.0), (9.2, 61.0, 10.0), (30.5, 60.0, 60.0), (31.0, 47.0, 47.0)],
)
def test_the_shortest_usual_one_that_fits_is_taken_else_the_longest_possible(
    least: float, most: float, seconds: float
) -> None:
    assert usual_window(least, most) == seconds


def test_a_wait_ends_with_a_usual_window_and_never_after_the_guess() -> None:
    assert soonest_end(100.0, 107.0, 8.0) == pytest.approx(3.05)
    assert soonest_end(100.0, 107.0, 2.0) == 2.0


def evenly(begin: float, rate: float, number: int) -> Cycle:
    """So many requests at a rate from `begin` on; the one after them is refused."""
    cycle = Cycle(begin, 0)
    for each in range(number):
        cycle.sent(begin + each / rate, each)
    cycle.close(begin + number / rate, number)
    return cycle


def test_the_same_number_in_the_last_second_at_two_speeds_is_a_limit_of_it() -> None:
    seconds = Seconds()
    assert seconds.counted(evenly(0.0, 300.0, 100), 0.0) is None
    assert seconds.counted(evenly(2.0, 200.0, 100), 1.6) == pytest.approx(100)


def test_the_same_number_at_one_speed_may_be_any_limit() -> None:
    seconds = Seconds()
    assert seconds.counted(evenly(0.0, 120.0, 100), 0.0) is None
    assert seconds.counted(evenly(2.0, 119.0, 100), 1.1) is None


def test_what_was_taken_before_in_a_second_is_no_more_than_the_limit() -> None:
    seconds = Seconds()
    assert seconds.counted(evenly(0.0, 300.0, 140), 0.0) is None
    assert seconds.counted(evenly(2.0, 300.0, 100), 1.5) is None
    assert seconds.counted(evenly(4.0, 200.0, 100), 1.6) is None


def test_a_second_of_which_not_all_is_known_is_not_compared() -> None:
    seconds = Seconds()
    assert seconds.counted(evenly(0.0, 300.0, 100), 0.0) is None
    assert seconds.counted(evenly(0.5, 200.0, 100), 0.2) is None


def test_seconds_of_a_clock_are_told_by_three_refusals() -> None:
    """The clock's seconds begin at 0.3; 100 are taken in each."""
    seconds = Seconds()
    told = [
        # 30 before the second began, then 100 in it
        seconds.counted(evenly(1.2, 300.0, 130), 0.0),
        seconds.counted(evenly(3.1, 200.0, 140), 1.5),
        seconds.counted(evenly(5.1, 150.0, 130), 1.3),
    ]
    assert told[:2] == [None, None]
    assert told[2] == pytest.approx(100, rel=0.02)


def test_a_bucket_is_not_taken_for_seconds() -> None:
    """Of 100 a second with room for 50: what it takes before it refuses depends on the speed."""
    seconds = Seconds()
    told = [
        seconds.counted(evenly(begin, rate, round(50 * rate / (rate - 100))), 1.0)
        for begin, rate in ((0.0, 300.0), (2.0, 220.0), (5.0, 160.0), (9.0, 130.0))
    ]
    assert told == [None, None, None, None]


def test_a_few_requests_are_the_same_number_by_chance() -> None:
    seconds = Seconds()
    assert seconds.counted(evenly(0.0, 40.0, 3), 0.0) is None
    assert seconds.counted(evenly(2.0, 25.0, 3), 1.5) is None
