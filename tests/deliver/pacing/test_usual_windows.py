"""The length of a server's window is guessed among those that are usual."""

from __future__ import annotations

import math

import pytest

from backfill.deliver.pacing.refusal_cycle import Cycle
from backfill.deliver.pacing.usual_windows import (
    RecentlyTaken,
    Seconds,
    Window,
    Windows,
    soonest_end,
)
from tests.deliver.pacing.limiters import Bucket, FixedWindow, Limiter, SlidingWindow


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


def test_numbers_that_are_alike_three_times_tell_it_at_speeds_that_differ_less() -> None:
    *before, third = told(
        (evenly(0.0, 110.0, 100), 0.0),
        (evenly(2.0, 104.0, 100), 1.1),
        (evenly(4.0, 99.0, 100), 1.1),
    )
    assert before == [None, None]
    assert third == pytest.approx(100)


class Run:
    """Requests that leave faster and faster until one is refused, and after a wait again."""

    def __init__(self, limiter: Limiter) -> None:
        self.windows = Windows()
        self.now = 0.0
        self._limiter = limiter
        self._number = 0
        self._cycle, self._waited = Cycle(0.0, 0), 0.0

    def until_refused(self, *, wait: float = 0.3) -> Window | None:
        """What the next refusal tells. It goes on after such a wait, until whose end, nearly,
        all is refused.
        """
        while not self._limiter.take(self.now):
            self.windows.sent(self.now)
            self._cycle.sent(self.now, self._number)
            self._number += 1
            self.now += 1 / (50 * math.exp(0.35 * self.now))
        self.windows.sent(self.now)
        self.windows.refused(self.now)
        self._cycle.close(self.now, self._number)
        self.now += wait
        window = self.windows.told(self._cycle, self._waited, self.now - 0.2, self.now)
        self._cycle, self._waited = Cycle(self.now, self._number), wait
        return window


@pytest.mark.parametrize(
    ("taken", "last", "now", "expected"),
    [
        pytest.param(5.0, 9.2, 10.3, (500, 10.0), id="a usual one"),
        pytest.param(5.0, 9.2, 61.0, (500, 10.0), id="the shortest that may be"),
        pytest.param(25.0, 30.5, 60.0, (2500, 60.0), id="not one that had ended before"),
        pytest.param(25.0, 31.0, 47.0, (2500, 47.0), id="one that is not usual"),
        pytest.param(18.0, 19.8, 21.2, (1800, 20.0), id="all was taken in it"),
        pytest.param(137.0, 147.5, 150.1, (13_700, 150.0), id="one refusal says little after long"),
    ],
)
def test_a_long_wait_tells_of_a_window_that_was_used_up(
    taken: float, last: float, now: float, expected: tuple[float, float]
) -> None:
    windows, cycle = Windows(), Cycle(0.0, 0)
    for number in range(round(100 * taken)):
        windows.sent(number / 100)
        cycle.sent(number / 100, number)
    cycle.close(taken, round(100 * taken))
    window = windows.told(cycle, 0.0, last, now)
    assert window is not None
    assert (window.number, window.seconds) == pytest.approx(expected, rel=0.002)


def test_it_may_be_the_second_of_two_as_it_allows_more() -> None:
    """It took 20 a second in the first ten seconds, and 100 in some of the next ten."""
    windows, cycle = Windows(), Cycle(0.0, 0)
    for number in range(1000):
        at = number / 20 if number < 200 else 10.0 + (number - 200) / 100
        windows.sent(at)
        cycle.sent(at, number)
    cycle.close(18.0, 1000)
    window = windows.told(cycle, 0.0, 19.8, 21.0)
    assert window is not None
    assert (window.number, window.seconds) == pytest.approx((800, 10.0), rel=0.01)


def test_a_long_window_that_slides_is_told_by_the_same_number_at_three_refusals() -> None:
    """What it gives back is what was taken ten seconds before, faster and faster."""
    run = Run(SlidingWindow(500.0, 10.0))
    assert [run.until_refused(wait=0.8), run.until_refused(wait=0.8)] == [None, None]
    window = run.until_refused()
    assert window is not None
    assert window.seconds == 10.0
    assert window.number == pytest.approx(5000, abs=3)


def test_a_bucket_which_gives_back_at_one_speed_is_not_taken_for_one() -> None:
    run = Run(Bucket(500.0, 1000.0))
    assert [run.until_refused(wait=0.8) for _ in range(8)] == [None] * 8


def test_a_long_window_that_refuses_soon_after_its_end_slides() -> None:
    """Ten seconds after its first request it takes only as much as it took then."""
    run = Run(SlidingWindow(50.0, 10.0))
    window = run.until_refused(wait=5.8)
    assert window is not None
    assert window.seconds == 10.0
    assert run.windows.room(run.now, 50.0) == math.inf
    again = run.until_refused()
    assert again is not None
    assert again.number == pytest.approx(500, abs=3)
    assert run.windows.room(run.now, 50.0) < math.inf


def test_one_of_a_clock_does_not() -> None:
    run = Run(FixedWindow(50.0, 10.0))
    window = run.until_refused(wait=5.8)
    assert window is not None
    assert window.seconds == 10.0
    assert run.until_refused() is None
    assert run.windows.room(run.now, 50.0) == math.inf


def test_in_a_window_that_slides_is_room_for_what_leaves_it() -> None:
    run = Run(SlidingWindow(500.0, 10.0))
    for _ in range(3):
        run.until_refused(wait=0.8)
    leaves = 50 * math.exp(0.35 * (run.now - 9.75))
    assert run.windows.room(run.now, 500.0) == pytest.approx(leaves + 0.8 * leaves / 0.5, rel=0.2)
    assert run.windows.room(run.now + 10.0, 500.0) > 5000.0
    assert run.windows.room(run.now, 250.0) == 25.0, "never nothing, or nobody would look again"


def test_what_was_taken_lately_is_what_was_sent_and_not_refused() -> None:
    taken = RecentlyTaken()
    assert taken.taken(0.0, 1.0) == 0
    for number in range(100):
        taken.sent(number / 10)
    taken.refused(7.0)
    taken.sent(4.05, 20)  # another run's, of which one hears late
    assert taken.taken(0.0, 4.0) == pytest.approx(40, abs=1)
    assert taken.taken(4.0, 5.0) == pytest.approx(30, abs=1)
    assert taken.taken(5.0, 100.0) == pytest.approx(49, abs=1)


def test_a_minute_of_many_requests_is_remembered_and_no_more() -> None:
    taken = RecentlyTaken()
    for number in range(200_000):
        taken.sent(number / 1000)
    assert taken.taken(140.0, 200.0) == pytest.approx(60_000, abs=10)
