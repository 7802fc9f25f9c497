"""How much of a rate is used. Pure."""

from __future__ import annotations

__all__ = ["RecentUse"]

_SECONDS, _REQUESTS = 0.25, 5  # of one measurement, at least


class RecentUse:
    """Requests a second that were sent lately; before anything is known, `first`."""

    def __init__(self, now: float, first: float) -> None:
        self.rate = first
        self._since, self._serial = now, 0

    def sent(self, now: float, serial: int) -> None:
        """The request `serial` goes out."""
        passed, count = now - self._since, serial - self._serial
        if passed >= _SECONDS and count >= _REQUESTS:
            self.rate = count / passed
            self._since, self._serial = now, serial

    def paused(self, until: float, serial: int) -> None:
        """Nothing goes out before `until`, which says nothing of the use."""
        self._since, self._serial = max(self._since, until), serial
