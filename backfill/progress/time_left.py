"""How long the rest of a run will take, as far as the last minute tells."""

from __future__ import annotations

from collections import deque

__all__ = ["TimeLeft"]

_WINDOW = 60.0  # seconds in which there was something to do


class TimeLeft:
    """What the records settled in the last busy minute say of how long the others will take."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()
        self._active = 0.0
        self._at: float | None = None

    def add(self, at: float, records: int, *, idle: bool) -> None:
        """So many records are settled at a time, in seconds; `idle` since the time before."""
        if self._at is not None and not idle:
            self._active += at - self._at
        self._at = at
        if len(self._points) > 1 and self._points[-1][0] == self._active:
            self._points.pop()  # a pause may last for days
        self._points.append((self._active, records))
        while len(self._points) > 2 and self._active - self._points[1][0] >= _WINDOW:
            self._points.popleft()

    def time_for(self, records: int) -> float | None:
        """Seconds that so many records need, None while there is too little to go by."""
        if len(self._points) < 2:
            return None
        (then, before), (now, settled) = self._points[0], self._points[-1]
        if now - then < 2 or settled <= before:
            return None
        return records * (now - then) / (settled - before)
