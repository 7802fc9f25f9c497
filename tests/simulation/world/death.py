"""What ends a process in the middle of whatever it does."""

from __future__ import annotations

__all__ = ["DeathError"]


class DeathError(BaseException):
    """The machine has died; whatever the program still does is seen by nobody."""
