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


def told(*refusals: tuple[Cycle, float]) -> list[float | None]:
    """What each refusal tells, after a cycle and the wait before it."""
    seconds = Seconds()
    return [seconds.counted(cycle, waited) for cycle, waited in refusals]


def test_the_same_number_in_the_last_second_at_two_speeds_is_a_limit_of_it() -> None:
    first, second = told((evenly(0.0, 300.0, 100), 0.0), (evenly(2.0, 200.0, 100), 1.6))
    assert first is None
    assert second == pytest.approx(100)


@pytest.mark.parametrize(
    "refusals",
    [
        pytest.param(
            [(evenly(0.0, 120.0, 100), 0.0), (evenly(2.0, 119.0, 100), 1.1)], id="at one speed"
        ),
        pytest.param(
            [
                (evenly(0.0, 300.0, 140), 0.0),
                (evenly(2.0, 300.0, 100), 1.5),
                (evenly(4.0, 200.0, 100), 1.6),
            ],
            id="more was taken before",
        ),
        pytest.param(
            [(evenly(0.0, 300.0, 100), 0.0), (evenly(0.5, 200.0, 100), 0.2)],
            id="not all of the second is known",
        ),
        pytest.param(
            [(evenly(0.0, 40.0, 3), 0.0), (evenly(2.0, 25.0, 3), 1.5)], id="a few, by chance"
        ),
    ],
)
def test_the_same_number_may_come_of_another_limit(refusals: list[tuple[Cycle, float]]) -> None:
    assert told(*refusals) == [None] * len(refusals)


def test_seconds_of_a_clock_are_told_by_three_refusals() -> None:
    """The clock's seconds begin at 0.3; 100 are taken in each."""
    *before, third = told(
        (evenly(1.2, 300.0, 130), 0.0),  # 30 before the second began, then 100 in it
        (evenly(3.1, 200.0, 140), 1.5),
        (evenly(5.1, 150.0, 130), 1.3),
    )
    assert before == [None, None]
    assert third == pytest.approx(100, rel=0.02)


def test_a_bucket_is_not_taken_for_seconds() -> None:
    """Of 100 a second with room for 50: what it takes before it refuses depends on the speed."""
    cycles = [
        evenly(begin, rate, round(50 * rate / (rate - 100)))
        for begin, rate in ((0.0, 300.0), (2.0, 220.0), (5.0, 160.0), (9.0, 130.0))
    ]
    assert told(*((cycle, 1.0) for cycle in cycles)) == [None, None, None, None]
