"""An unknown limit is found, kept and followed, whatever way the server counts in.

Kept means: at least 90 % of the limit is used, and at most 2 % of the answers are refusals.
"""

from __future__ import annotations

import pytest

from backfill.deliver.pacing.auto_rate import AutoRate
from tests.deliver.pacing.limiters import (
    Bucket,
    FixedWindow,
    Server,
    SlidingWindow,
    Steady,
    simulate,
)


def kept(found: Steady, limit: float) -> None:
    assert found.accepted >= 0.9 * limit
    assert found.refused <= 0.02


def small_bucket(limit: float) -> Server:
    return Bucket(limit, burst=max(0.1, 5 / limit))


def bucket(limit: float) -> Server:
    return Bucket(limit, burst=1.0)


def large_bucket(limit: float) -> Server:
    return Bucket(limit, burst=10.0)


def fixed_window(limit: float) -> Server:
    return FixedWindow(limit, seconds=1.0)


def sliding_window(limit: float) -> Server:
    return SlidingWindow(limit, seconds=1.0)


@pytest.mark.parametrize("says_when", [False, True], ids=["silent", "says when"])
@pytest.mark.parametrize("latency", [0.005, 0.1])
@pytest.mark.parametrize("limit", [2.0, 14.0, 100.0])
@pytest.mark.parametrize(
    "server", [small_bucket, bucket, large_bucket, fixed_window, sliding_window]
)
def test_a_limit_is_found_and_kept(server, limit: float, latency: float, *, says_when: bool):
    seconds, settled = (1200.0, 240.0) if limit < 10 else (300.0, 120.0)
    found = simulate(
        server(limit), latency=latency, seconds=seconds, settled=settled, says_when=says_when
    )
    kept(found, limit)


@pytest.mark.parametrize("server", [bucket, large_bucket, fixed_window])
def test_so_is_a_high_one(server) -> None:
    kept(simulate(server(3000.0), latency=0.05, seconds=50.0, settled=30.0), 3000.0)


@pytest.mark.parametrize("server", [bucket, large_bucket])
@pytest.mark.parametrize("limit", [2.0, 50.0])
def test_slow_replies_do_not_hide_it(server, limit: float) -> None:
    found = simulate(server(limit), latency=0.5, seconds=900.0, settled=240.0)
    kept(found, limit)


@pytest.mark.parametrize("limit", [2.0, 14.0, 50.0])
def test_a_limit_by_the_minute_is_kept_when_the_server_says_when(limit: float) -> None:
    found = simulate(
        FixedWindow(limit, seconds=60.0),
        latency=0.05,
        seconds=1200.0,
        settled=300.0,
        says_when=True,
    )
    kept(found, limit)


@pytest.mark.parametrize(("before", "after"), [(40.0, 10.0), (200.0, 50.0), (10.0, 40.0)])
@pytest.mark.parametrize("burst", [0.5, 1.0])
def test_a_limit_that_changes_is_followed(before: float, after: float, burst: float) -> None:
    """A lowered limit within a minute, a raised one within three."""
    settled = 180.0 if after < before else 300.0
    found = simulate(
        Bucket(before, burst),
        latency=0.05,
        seconds=settled + 200.0,
        settled=settled,
        changes=(120.0, after),
    )
    kept(found, after)


@pytest.mark.parametrize("seed", range(5))
def test_chance_makes_no_difference(seed: int) -> None:
    kept(simulate(bucket(30.0), latency=0.1, seconds=300.0, settled=100.0, seed=seed), 30.0)


def test_a_learned_rate_is_where_the_next_run_begins() -> None:
    first = simulate(bucket(40.0), latency=0.05, seconds=200.0, settled=100.0)
    assert first.learned == pytest.approx(40.0, rel=0.1)
    again = simulate(bucket(40.0), latency=0.05, seconds=20.0, settled=0.0, learned=first.learned)
    assert again.accepted >= 0.85 * 40.0
    assert again.refused <= 0.02


def test_nothing_is_learned_before_the_first_refusal() -> None:
    auto = AutoRate(0.0)
    for moment in range(100):
        auto.sent(float(moment))
        auto.accepted()
    assert auto.learned is None


def test_a_rate_that_is_not_used_is_not_climbed_above() -> None:
    """One request a second goes out, so nothing was found out about two thousand."""
    for learned in (None, 2.0):
        auto = AutoRate(0.0, learned=learned)
        for moment in range(1, 600):
            auto.sent(float(moment))
            auto.accepted()
        assert auto.rate(600.0) <= 4.0


def test_a_shut_door_says_nothing_of_the_rate() -> None:
    """Only a refusal after something was accepted lowers the rate; the first one counts."""
    auto = AutoRate(0.0, learned=100.0)
    auto.accepted()
    auto.throttled(1.0, 90.0)
    lowered = auto.rate(1.0)
    for moment in range(2, 50):
        auto.throttled(float(moment), lowered)
        auto.paused(float(moment), moment + 1.0)
    assert auto.rate(50.0) == pytest.approx(lowered)
