"""An unknown limit is found, used and followed, whatever way the server counts in.

All in virtual time, with late timers and a network whose delays vary.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backfill.deliver.pacing.auto_rate import AutoRate
from tests.deliver.pacing.limiters import (
    Bucket,
    FixedWindow,
    Limiter,
    Scheduled,
    SlidingWindow,
)
from tests.deliver.pacing.simulation import simulate

Make = Callable[[float], Limiter]

BUCKETS: dict[str, Make] = {
    "bucket of 0.1 s": lambda limit: Bucket(limit, max(2.0, limit / 10)),
    "bucket of 1 s": lambda limit: Bucket(limit, limit),
    "bucket of 10 s": lambda limit: Bucket(limit, 10 * limit),
}
SECONDS: dict[str, Make] = {
    "window of 1 s": lambda limit: FixedWindow(limit, 1.0),
    "window of 1 s, half over": lambda limit: FixedWindow(limit, 1.0, 0.63),
    "sliding 1 s": lambda limit: SlidingWindow(limit, 1.0),
}
LONG: dict[str, Make] = {
    "window of 10 s": lambda limit: FixedWindow(limit, 10.0),
    "sliding 10 s": lambda limit: SlidingWindow(limit, 10.0),
    "window of a minute": lambda limit: FixedWindow(limit, 60.0),
    "window of a minute, half over": lambda limit: FixedWindow(limit, 60.0, 38.0),
    "sliding minute": lambda limit: SlidingWindow(limit, 60.0),
}
ALL = BUCKETS | SECONDS | LONG


@pytest.mark.parametrize("says_when", [False, True], ids=["silent", "says when"])
@pytest.mark.parametrize("name", ALL)
def test_a_hundred_seconds_of_work_take_little_more(name: str, *, says_when: bool) -> None:
    """And the first twenty of them do not wait for the rate."""
    # As low as tells: a run costs what it sends. Where nothing says when a minute is over, a few
    # refusals would be many of the requests at a low rate.
    limit = 70.0 if "minute" in name and not says_when else 40.0
    found = simulate(ALL[name](limit), requests=100 * limit, says_when=says_when)
    begun = found.first(int(20 * limit))
    assert begun.share(limit) >= 0.82
    assert len(begun.refused) <= 20
    # A second is lost to each `Retry-After: 1`, and a window of a second gives none of it back.
    assert found.share(limit) >= 0.94
    assert found.refusals() <= 0.005
    assert not found.early


@pytest.mark.parametrize(("seed", "says_when"), [(0, False), (1, True), (2, False)])
def test_late_timers_cost_little_of_the_rate(seed: int, *, says_when: bool) -> None:
    """On a machine with other work a timer is 2 ms late as a rule, and some 20 ms."""
    limiter = Bucket(150.0, 15.0)
    found = simulate(limiter, requests=15_000, says_when=says_when, late=0.004, seed=seed)
    begun = found.first(3_000)
    assert begun.share(150.0) >= 0.85, "twenty seconds are enough to reach it"
    assert begun.refusals() <= 0.005
    assert found.share(150.0) >= 0.95
    assert found.refusals() <= 0.005
    assert not found.early


@pytest.mark.parametrize("name", BUCKETS | SECONDS)
def test_a_slow_limit_is_found_too(name: str) -> None:
    found = simulate(ALL[name](14.0), requests=1_400, says_when=True)
    assert found.share(14.0) >= 0.92
    assert found.refusals() <= 0.005


@pytest.mark.parametrize(
    ("name", "requests"), [("bucket of 1 s", 15_000), ("window of 1 s", 30_000)]
)
def test_so_is_a_high_one(name: str, requests: int) -> None:
    found = simulate(ALL[name](1000.0), requests=requests)
    assert found.share(1000.0) >= 0.85
    assert found.refusals() <= 0.005


@pytest.mark.parametrize("latency", [0.1, 0.3])
def test_slow_replies_do_not_hide_it(latency: float) -> None:
    found = simulate(Bucket(50.0, 10.0), requests=5_000, latency=latency, says_when=True)
    assert found.share(50.0) >= 0.88
    assert found.refusals() <= 0.01


@pytest.mark.parametrize(("limit", "latency"), [(200.0, 0.2), (100.0, 0.3)])
def test_a_window_that_slides_and_is_filled_slowly_is_found(limit: float, latency: float) -> None:
    """The first refusals come when the window has nearly passed: no wait is long."""
    found = simulate(SlidingWindow(limit, 10.0), requests=30 * limit, latency=latency)
    assert found.share(limit) >= 0.87
    assert len(found.refused) <= 60


def test_one_whose_limit_is_lowered_is_followed() -> None:
    limiter = Scheduled(SlidingWindow(150.0, 10.0), lambda now: 150.0 if now < 50 else 75.0)
    found = simulate(limiter, seconds=150.0, late=0.004)
    assert found.share(75.0, 100.0) >= 0.98
    assert found.refusals(100.0) <= 0.005


@pytest.mark.parametrize("seed", range(2))
def test_chance_makes_little_difference(seed: int) -> None:
    found = simulate(Bucket(150.0, 15.0), requests=15_000, says_when=True, seed=seed)
    assert found.share(150.0) >= 0.945
    assert found.refusals() <= 0.001


@pytest.mark.parametrize(("before", "after"), [(40.0, 10.0), (60.0, 15.0), (10.0, 40.0)])
def test_a_limit_that_changes_is_followed(before: float, after: float) -> None:
    """A lowered limit within a minute, a raised one within three."""
    settled = 180.0 if after < before else 300.0
    limiter = Scheduled(Bucket(before, 10.0), lambda now: before if now < 120 else after)
    found = simulate(limiter, seconds=settled + 100.0)
    assert found.share(after, settled) >= 0.9
    assert found.refusals(settled) <= 0.01


def test_a_learned_rate_is_where_the_next_run_begins() -> None:
    first = simulate(Bucket(40.0, 40.0), seconds=200.0)
    assert first.learned == pytest.approx(40.0, rel=0.05)
    again = simulate(Bucket(40.0, 40.0), seconds=20.0, learned=first.learned)
    assert again.share(40.0) >= 0.9
    assert again.refusals() <= 0.01


def test_a_refusal_right_after_a_wait_lowers_the_rate_by_little() -> None:
    """A limiter that stored nothing up while nobody came: that says nothing of its rate."""
    found = simulate(Bucket(150.0, 15.0), seconds=60.0, says_when=True)
    assert found.learned == pytest.approx(150.0, rel=0.03)

    auto = AutoRate(0.0, learned=100.0)
    now, number = 0.0, 0
    while now < 10.0:
        number = auto.sent(now)
        auto.accepted(now, now, fresh=True)
        now += 1 / auto.rate(now)
    for _ in range(2):
        auto.refused(now, number, 100.0, fresh=True)
        auto.paused(now + 1.0, asked=True)
        now += 1.0
        number = auto.sent(now)
        auto.accepted(now, now, fresh=True)
    assert auto.rate(now) >= 90.0


def test_nothing_is_learned_before_the_first_refusal() -> None:
    auto = AutoRate(0.0)
    for moment in range(100):
        auto.sent(float(moment))
        auto.accepted(float(moment), float(moment), fresh=True)
    assert auto.learned is None


def test_a_rate_that_is_not_used_is_not_climbed_above() -> None:
    """One request a second goes out, so nothing was found out about two thousand."""
    for learned, most in ((None, 32.0), (2.0, 4.0)):
        auto = AutoRate(0.0, learned=learned)
        for moment in range(1, 600):
            auto.sent(float(moment))
            auto.accepted(float(moment), float(moment), fresh=True)
        assert auto.rate(600.0) <= most


def test_refusals_of_a_closed_window_say_nothing_of_the_rate() -> None:
    """What is refused while nothing is accepted tells no more than the first refusal did."""
    auto = AutoRate(0.0, learned=100.0)
    for number in range(1, 11):
        auto.sent(number / 100)
        auto.accepted(number / 100, number / 100, fresh=True)
    rates = []
    for moment in range(2, 50):
        auto.refused(float(moment), 10, 90.0, fresh=True)
        auto.paused(moment + 1.0, asked=False)
        rates.append(auto.learned)
    assert set(rates) == {100.0}
