"""When each request may go: the rate, set or found; quiet periods; how many may be out at once."""

from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.pacer import Pacer
from backfill.deliver.pacing.retry_backoff import MOST_AMBIGUOUS, Backoff, BatchRetries
from backfill.deliver.pacing.turns import Grant

__all__ = [
    "MOST_AMBIGUOUS",
    "Backoff",
    "BatchRetries",
    "Grant",
    "Health",
    "Pacer",
]
