"""How many records go into a batch, where the server finds batches too large.

One item can be too large wherever it stands, and then the size of the batch is not at fault. So
a smaller size is learned only where a batch was refused and both of its halves passed, twice
without a batch of that size passing in between. What was learned may have been for some large
items only: after many successes a larger batch is tried again, more and more rarely where that
is refused.
"""

from __future__ import annotations

import math

__all__ = ["BatchSize"]

_PATIENCE = 16  # full batches that pass before a larger one is tried


class BatchSize:
    """The size for all lanes of a run; `now` is at most `most` and at least 1 record."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = most
        self._passes = 0
        self._patience = _PATIENCE
        self._suspect: int | None = None  # refused once, while both of its halves passed

    def passed(self, records: int) -> None:
        """The server took a batch of so many records, or found fault with items in it."""
        if self._suspect is not None and records >= self._suspect:
            self._suspect = None
        if self.now <= records and self.now < self.most:
            self._passes += 1
            if self._passes >= self._patience:
                self.now = min(self.most, 2 * self.now)
                self._passes = 0

    def halved(self, records: int) -> None:
        """A batch of so many records was too large, and both of its halves passed."""
        if math.ceil(records / 2) >= self.now:
            return  # known already
        if self._suspect is None:
            self._suspect = records
            return
        self.now = math.ceil(max(records, self._suspect) / 2)
        self._suspect = None
        self._passes = 0
        self._patience *= 2
