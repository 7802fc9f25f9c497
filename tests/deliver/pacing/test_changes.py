"""A pacer that is told otherwise while it works: another rate, a pause, fewer in flight."""

from __future__ import annotations

import math

from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.pacer import Pacer


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def pacer_at(rate: float | None, clock: Clock) -> Pacer:
    health = Health(concurrency=8, patience=30.0, max_wait=600.0)
    for _ in range(8):
        health.answered()
    return Pacer(rate, health=health, clock=clock, wall=clock)


def granted(pacer: Pacer, clock: Clock, seconds: float) -> int:
    count, end = 0, clock.now + seconds
    while clock.now < end:
        while (grant := pacer.try_acquire()) is not None:
            count += 1
            pacer.withdraw(grant)
        clock.now += min(max(pacer.until_next(), 0.001), 0.05)
    return count


def test_a_new_rate_holds_from_the_next_request_on():
    clock = Clock()
    pacer = pacer_at(10, clock)
    assert 9 <= granted(pacer, clock, 1.0) <= 12
    pacer.change(100, 8)
    assert 95 <= granted(pacer, clock, 1.0) <= 112


def test_a_change_ends_no_quiet_period():
    clock = Clock()
    pacer = pacer_at(10, clock)
    pacer.quiet(5.0)
    pacer.change(1000, 8)
    assert granted(pacer, clock, 4.9) == 0
    assert granted(pacer, clock, 1.0) > 0


def test_a_pause_calls_back_what_was_granted_and_grants_nothing():
    clock = Clock()
    pacer = pacer_at(100, clock)
    grant = pacer.try_acquire()
    assert grant is not None
    pacer.pause(paused=True)
    assert not grant.still_valid()
    pacer.withdraw(grant)
    assert pacer.until_next() == math.inf
    assert granted(pacer, clock, 1.0) == 0
    pacer.pause(paused=False)
    assert granted(pacer, clock, 1.0) > 50


def test_fewer_may_be_out_at_once():
    clock = Clock()
    pacer = pacer_at(1e6, clock)
    pacer.change(1e6, 2)
    out = []
    while (grant := pacer.try_acquire()) is not None:
        out.append(grant)
        clock.now += 0.01
    assert len(out) == 2


def test_a_rate_to_be_found_begins_with_the_one_that_held():
    clock = Clock()
    pacer = pacer_at(40, clock)
    pacer.change(None, 8)
    assert pacer.learned is not None
    assert 20 <= pacer.rate <= 80
