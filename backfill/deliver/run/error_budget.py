"""How many refused records a run may have before it stops."""

from __future__ import annotations

__all__ = ["FAIR_SAMPLE", "ErrorsBudget"]

FAIR_SAMPLE = 200
"""Records that must have been delivered or refused before a share of them says anything."""


class ErrorsBudget:
    """Counts what came to rest in this run; only records that the server refused are errors.

    Throttling, outages and unknown records are none of its business. `count` is the largest
    number of failed records that is tolerated, `fraction` the largest share of those that were
    delivered or failed; either may be None.
    """

    def __init__(self, *, count: int | None = None, fraction: float | None = None) -> None:
        self._count = count
        self._fraction = fraction
        self.delivered = 0
        self.failed = 0

    def add(self, *, delivered: int = 0, failed: int = 0) -> None:
        self.delivered += delivered
        self.failed += failed

    @property
    def spent(self) -> bool:
        """Whether more failed than is tolerated."""
        if self._count is not None and self.failed > self._count:
            return True
        settled = self.delivered + self.failed
        return (
            self._fraction is not None
            and settled >= FAIR_SAMPLE
            and self.failed > self._fraction * settled
        )

    @property
    def message(self) -> str:
        """What was tolerated and what happened, for the user."""
        settled = self.delivered + self.failed
        if self._count is not None and self.failed > self._count:
            allowed = f"{self._count:,}"
        else:
            allowed = f"{(self._fraction or 0) * 100:g}%"
        return f"{self.failed:,} of {settled:,} records failed; max_errors is {allowed}"
