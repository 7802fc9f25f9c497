"""The windows that servers count requests in have round lengths. Pure.

A server that refuses for long counts in long windows. What it accepted before it refused,
divided by the length of the window, is the rate.
"""

from __future__ import annotations

__all__ = ["soonest_end", "usual_window"]

_SECONDS = (5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 3600.0)
_LATE = 0.05  # seconds after the end of a window when it is surely over


def usual_window(least: float, most: float) -> float:
    """The shortest usual window, in seconds, between two bounds; where there is none, `most`."""
    return next((seconds for seconds in _SECONDS if least <= seconds <= most), most)


def soonest_end(begin: float, now: float, guess: float) -> float:
    """Seconds from `now` to the end of a usual window that began then, at most `guess`."""
    ends = (begin + seconds + _LATE - now for seconds in _SECONDS)
    return min((end for end in ends if _LATE < end < guess), default=guess)
