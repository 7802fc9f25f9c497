"""Servers that count requests at a time, or the time between two, are told from those that count
requests a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from backfill.core.model import Flow, Verdict
from backfill.deliver.pacing.grant import Grant
from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.other_limits import OtherLimits
from backfill.deliver.pacing.pacer import Pacer
from tests.deliver.pacing.limiters import Bucket, ConcurrencyLimit, FixedWindow, Limiter
from tests.deliver.pacing.simulation import simulate


def after(*refusals: tuple[int, float], accepted: int = 99) -> OtherLimits:
    """Of a hundred requests before each refusal one was the fifth that was out, and one followed
    after 5 ms; the others were the second, 10 ms after the one before.
    """
    limits = OtherLimits()
    for number, (out, gap) in enumerate(refusals):
        for _ in range(accepted - 2):
            limits.accepted(float(number), 2, 0.01)
        limits.accepted(float(number), 5, 0.01)
        limits.accepted(float(number), 2, 0.005)
        limits.refused(float(number), out, gap)
    return limits


def test_refusals_of_what_is_accepted_as_a_rule_speak_of_the_rate() -> None:
    limits = after(*[(2, 0.01)] * 20)
    assert not limits.any
    assert limits.most_out == math.inf
    assert limits.fastest == math.inf


def test_refusals_of_unusually_many_at_a_time_set_how_many_may_be_out() -> None:
    limits = after((5, 0.01), (5, 0.01), (6, 0.01))
    assert limits.most_out == 4
    assert limits.gap == 0.0


def test_refusals_of_what_follows_unusually_soon_set_the_gap() -> None:
    limits = after((2, 0.01), (2, 0.004), (2, 0.0049))
    assert limits.gap == pytest.approx(0.0049, rel=0.1)
    assert limits.gap > 0.0049
    assert limits.fastest == pytest.approx(1 / limits.gap)
    assert limits.most_out == math.inf


@pytest.mark.parametrize("refusal", [(6, 0.01), (2, 0.004)])
def test_one_unusual_refusal_tells_nothing_nor_does_the_first(refusal: tuple[int, float]) -> None:
    assert not after(refusal, refusal).any
    assert after(refusal, refusal, refusal).any
    assert not after(refusal, refusal, refusal, accepted=10).any


def test_a_limit_that_does_not_help_is_dropped_for_good() -> None:
    limits = after(*[(6, 0.01)] * 3)
    assert limits.refused(4.0, 5, 0.01)
    assert limits.most_out == 4
    assert not limits.refused(5.0, 2, 0.01)  # as nearly all that are accepted
    assert not limits.any
    for _ in range(10):
        assert not limits.refused(6.0, 6, 0.01)


def test_peace_lets_one_more_be_out() -> None:
    limits = after(*[(6, 0.01)] * 3)
    limits.accepted(50.0, 5, 0.01)
    assert limits.most_out == 5
    limits.accepted(70.0, 4, 0.01)
    assert limits.most_out == 5
    limits.accepted(90.0, 5, 0.01)
    assert limits.most_out == 6


@pytest.mark.parametrize("says_when", [False, True], ids=["silent", "says when"])
@pytest.mark.parametrize(
    ("limiter", "share"),
    [
        # Alone one takes 20 ms, so that many are done in a second.
        (lambda: ConcurrencyLimit(3, 0.02), 0.8),
        # A timer is 2.6 ms late on average, and nothing may be caught up with.
        (lambda: Bucket(150.0, 1), 0.85 / (1 + 0.0026 * 150)),
        (lambda: Bucket(30.0, 1), 0.85 / (1 + 0.0026 * 30)),
    ],
    ids=["three at a time", "no burst, 150", "no burst, 30"],
)
def test_they_are_found_and_used(
    limiter: Callable[[], Limiter], share: float, *, says_when: bool
) -> None:
    made = limiter()
    limit = made.limit
    found = simulate(made, requests=100 * limit, says_when=says_when, late=0.004, seed=1)
    assert found.share(limit) >= share
    assert found.share(limit, 60.0) >= share + 0.02
    assert found.refusals() <= 0.002
    assert not found.early


@pytest.mark.parametrize("limit", [30.0, 70.0])
def test_a_server_that_counts_a_rate_is_not_taken_for_another(limit: float) -> None:
    for made in (Bucket(limit, limit), FixedWindow(limit, 1.0)):
        found = simulate(made, requests=100 * limit, late=0.004)
        assert found.share(limit) >= 0.85
        assert found.refusals() <= 0.005


def test_another_rate_begins_without_them() -> None:
    now = 0.0
    health = Health(concurrency=8, patience=30.0, max_wait=600.0)
    pacer = Pacer(None, health=health, clock=lambda: now, wall=lambda: now)
    taken = Verdict(Flow.DELIVERED, http_status=200)
    refused = Verdict(Flow.AGAIN, "slow down", http_status=429, retry_after=1.0, throttled=True)

    def take() -> Grant | None:
        nonlocal now
        now += 1.5
        return pacer.try_acquire()

    def end(grant: Grant | None, verdict: Verdict) -> None:
        assert grant is not None
        pacer.on_verdict(grant, verdict)

    for _ in range(3):
        for _ in range(60):
            end(take(), taken)
        first, second = take(), take()
        end(second, refused)
        end(first, taken)
    end(take(), taken)
    assert take() is not None
    assert take() is None
    pacer.change(1.0, 8)
    assert take() is not None
