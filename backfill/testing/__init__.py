"""The tests that any destination must pass, ours like those of other packages.

In a test module of the package that brings it:

    from backfill.testing import DestinationTests

    class TestAcmeVisits(DestinationTests):
        destination = AcmeVisits()

pytest runs them. They need Hypothesis: `pip install 'backfill[testing]'`.
"""

from __future__ import annotations

try:
    import hypothesis
except ImportError as error:
    raise ImportError(
        "backfill.testing needs Hypothesis and pytest: pip install 'backfill[testing]'"
    ) from error

from backfill.testing.crashes import Campaign, crash_campaign
from backfill.testing.samples import record_of, row_of
from backfill.testing.suite import DestinationTests
from backfill.testing.verdict_table import verdict_table

__all__ = [
    "Campaign",
    "DestinationTests",
    "crash_campaign",
    "record_of",
    "row_of",
    "verdict_table",
]

del hypothesis
