"""A moment by this machine's clock, as messages tell it."""

from __future__ import annotations

from datetime import datetime

__all__ = ["local_time"]


def local_time(at: float) -> str:
    """Seconds since the epoch as date, time and offset, to the second."""
    return datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")
