"""Our own destinations pass the suite that those of other packages must pass."""

from __future__ import annotations

import pytest

from backfill.destinations import destination
from backfill.testing import DestinationTests

pytestmark = pytest.mark.timeout(300)  # a crash campaign starts several processes


class TestPristoEvents(DestinationTests):
    kills = 1
    destination = destination("pristo-events")


class TestWatchEvents(DestinationTests):
    destination = destination("watch-events")


class TestWatchFeedbacks(DestinationTests):
    kills = 1
    destination = destination("watch-feedbacks")
