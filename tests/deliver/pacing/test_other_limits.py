"""Servers that count requests at a time, or the time between two, are told from those that count
requests a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from backfill.core.model import Flow, Verdict
from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.other_limits import OtherLimits
from backfill.deliver.pacing.pacer import Pacer
from backfill.deliver.pacing.turns import Grant
from tests.deliver.pacing.limiters import Bucket, ConcurrencyLimit, FixedWindow, LeakyQueue, Limiter
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
        limits.refused(float(number), out, gap, fresh=True)
    return limits


def take(limits: OtherLimits, now: float, out: int, *, times: int = 200) -> None:
    for _ in range(times):
        limits.accepted(now, out, 0.01)


def known_to_be_four() -> OtherLimits:
    """Five at a time were refused twice, the second time thirty seconds after the first."""
    limits = after((5, 0.01))
    take(limits, 31.0, 4)
    assert limits.most_out == 5
    assert limits.refused(32.0, 5, 0.01, fresh=True)
    assert limits.most_out == 4
    return limits


def test_refusals_of_what_is_accepted_as_a_rule_speak_of_the_rate() -> None:
    limits = after(*[(2, 0.01)] * 20)
    assert not limits.known
    assert limits.most_out == math.inf
    assert limits.fastest == math.inf


def test_no_more_are_out_than_before_a_refusal_of_unusually_many() -> None:
    limits = after((5, 0.01))
    assert limits.most_out == 4
    assert not limits.known, "the rate may be why"
    assert not limits.refused(1.0, 3, 0.01, fresh=True)
    assert limits.most_out == 2, "one of three was unusual, too"
    assert not limits.refused(1.0, 1, 0.01, fresh=True)
    assert limits.most_out == math.inf


def test_what_is_supposed_is_dropped_where_another_reason_is_known() -> None:
    limits = after((5, 0.01))
    limits.explained()
    assert limits.most_out == math.inf
    known = known_to_be_four()
    known.explained()
    assert known.most_out == 4


def test_of_several_that_were_refused_at_once_each_was_one_too_many() -> None:
    limits = after((11, 0.0))
    for out in (7, 5, 13, 9, 14):  # delays on the way change their order
        assert not limits.refused(1.0, out, 0.0, fresh=False)
    assert limits.most_out == 8


def test_one_more_is_tried_later_and_its_refusal_is_believed() -> None:
    limits = known_to_be_four()
    assert limits.known
    assert limits.gap == 0.0


def test_one_more_that_is_accepted_is_followed_by_another() -> None:
    limits = after((5, 0.01))
    take(limits, 31.0, 4)
    take(limits, 32.0, 5)
    assert limits.most_out == 5
    take(limits, 34.0, 5, times=1)
    assert limits.most_out == 6
    assert not limits.known


def test_a_number_that_is_seldom_out_is_not_exceeded() -> None:
    limits = after((5, 0.01))
    take(limits, 31.0, 3)
    take(limits, 31.0, 4, times=20)
    assert limits.most_out == 4


def test_refusals_of_what_follows_unusually_soon_set_the_gap() -> None:
    limits = after((2, 0.01), (2, 0.004), (2, 0.0049))
    assert limits.gap == pytest.approx(0.0049, rel=0.1)
    assert limits.gap > 0.0049
    assert limits.fastest == pytest.approx(1 / limits.gap)
    assert limits.most_out == math.inf


def test_one_that_follows_unusually_soon_tells_nothing_nor_does_the_first() -> None:
    soon = (2, 0.004)
    assert not after(soon, soon).known
    assert after(soon, soon, soon).known
    assert not after(soon, soon, soon, accepted=10).known


def test_a_limit_that_does_not_help_is_dropped_for_good() -> None:
    limits = known_to_be_four()
    take(limits, 33.0, 2)
    assert limits.refused(34.0, 4, 0.01, fresh=True)
    assert limits.most_out == 3
    assert not limits.refused(35.0, 2, 0.01, fresh=True)  # as nearly all that are accepted
    assert limits.most_out == math.inf
    for _ in range(10):
        assert not limits.refused(36.0, 6, 0.01, fresh=True)


def test_a_refusal_after_the_gap_that_is_kept_to_makes_it_longer() -> None:
    """As a rule requests follow after just that gap, so that it is nothing unusual."""
    limits = after((2, 0.01), (2, 0.004), (2, 0.0049))
    gap = limits.gap
    for _ in range(200):
        limits.accepted(3.0, 2, gap)
    assert limits.refused(4.0, 2, gap, fresh=True)
    assert gap < limits.gap < 1.1 * gap
    assert not limits.refused(5.0, 2, 2 * gap, fresh=True), "a late one: the gap is not why"
    assert limits.gap == 0.0


@pytest.mark.parametrize(("seconds", "kept"), [(1.0, False), (40.0, True)])
def test_a_gap_that_helps_for_a_while_is_not_dropped(seconds: float, *, kept: bool) -> None:
    limits = after((2, 0.01), (2, 0.004), (2, 0.0049))
    now = 3.0
    for _ in range(8):
        for _ in range(200):
            limits.accepted(now, 2, limits.gap)
        now += seconds
        limits.refused(now, 2, limits.gap, fresh=True)
    assert limits.known == kept


def test_peace_lets_one_more_be_out() -> None:
    limits = known_to_be_four()
    take(limits, 91.0, 4)
    assert limits.most_out == 4
    take(limits, 93.0, 4)
    assert limits.most_out == 5
    take(limits, 200.0, 5)
    assert limits.most_out == 5, "a minute was not enough"
    take(limits, 220.0, 5)
    assert limits.most_out == 6


@pytest.mark.parametrize("says_when", [False, True], ids=["silent", "says when"])
@pytest.mark.parametrize(
    ("limiter", "share"),
    [
        # Alone one takes 20 ms, so that many are done in a second.
        (lambda: ConcurrencyLimit(3, 0.02), 0.92),
        (lambda: LeakyQueue(60.0, 20), 0.94),
        # A request leaves 1 ms late on average, though a timer is 2.6 ms late; nothing may be
        # caught up with, and the delays on the way vary.
        (lambda: Bucket(150.0, 1), 0.78 / (1 + 0.001 * 150)),
        (lambda: Bucket(30.0, 1), 0.85 / (1 + 0.001 * 30)),
    ],
    ids=["three at a time", "queue of 20", "no burst, 150", "no burst, 30"],
)
def test_they_are_found_and_used(
    limiter: Callable[[], Limiter], share: float, *, says_when: bool
) -> None:
    made = limiter()
    limit = made.limit
    found = simulate(made, requests=80 * limit, says_when=says_when, late=0.004, seed=1)
    assert found.share(limit) >= share
    assert found.share(limit, 60.0) >= share + 0.02
    assert found.refusals() <= 0.002
    assert not found.early
    if isinstance(made, ConcurrencyLimit):
        begun = found.first(3_000)
        assert begun.share(limit) >= 0.8
        assert len(begun.refused) == 1, "it is kept to after its first refusal"


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

    def granted() -> Grant:
        nonlocal now
        now += 1.5
        grant = pacer.try_acquire()
        assert grant is not None
        return grant

    def take() -> Grant:
        grant = granted()
        assert pacer.departures.leave(grant)
        return grant

    for _ in range(3):
        for _ in range(60):
            pacer.on_verdict(take(), taken)
        first, second = take(), take()
        pacer.on_verdict(second, refused)
        pacer.on_verdict(first, taken)
    pacer.on_verdict(take(), taken)
    take()
    second = granted()
    assert pacer.departures.leave(second) is None
    pacer.change(1.0, 8)
    assert pacer.departures.leave(second)


@pytest.mark.parametrize(
    ("limiter", "share"),
    [(lambda: ConcurrencyLimit(3, 0.02), 0.8), (lambda: Bucket(150.0, 1), 0.52)],
    ids=["three at a time", "no burst"],
)
def test_that_commits_take_their_time_changes_little(
    limiter: Callable[[], Limiter], share: float
) -> None:
    """Requests that leave when their commits end would come together, and be refused."""
    found = simulate(limiter(), requests=3000, says_when=True, late=0.004, commit=0.006, seed=1)
    assert found.share(150.0) >= share
    assert found.refusals() <= 0.005
    assert not found.early
