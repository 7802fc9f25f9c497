"""The rate of a job that another process is working on."""

from __future__ import annotations

import time

import pytest

from backfill.model import Tick
from backfill.standing import _lately


def test_the_rate_of_a_running_job_is_that_of_the_last_minute():
    now = int(time.time())
    ticks = [
        Tick(at=now - 3_600, sent=10**6, delivered=10**6),
        *(Tick(at=now - 10 * step, sent=100, delivered=9_000, failed=500) for step in range(1, 6)),
    ]
    requests, records = _lately(ticks)
    assert requests == pytest.approx(10, rel=0.05)
    assert records == pytest.approx(950, rel=0.05)


def test_there_is_none_before_anything_was_noted():
    assert _lately([]) == (None, None)
    assert _lately([Tick(at=int(time.time()) - 3_600, sent=5)]) == (None, None)
