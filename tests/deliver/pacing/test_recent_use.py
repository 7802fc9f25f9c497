"""The use of a rate is measured over some time and some requests, and pauses do not count."""

from __future__ import annotations

import pytest

from backfill.deliver.pacing.recent_use import RecentUse


def test_it_follows_what_is_sent() -> None:
    use = RecentUse(0.0, 32.0)
    assert use.rate == 32.0
    for serial in range(1, 101):
        use.sent(serial / 50, serial)
    assert use.rate == pytest.approx(50.0)


def test_a_pause_does_not_lower_it() -> None:
    use = RecentUse(0.0, 32.0)
    for serial in range(1, 101):
        use.sent(serial / 50, serial)
    use.paused(60.0, 100)
    for serial in range(101, 201):
        use.sent(60.0 + (serial - 100) / 50, serial)
    assert use.rate == pytest.approx(50.0)
