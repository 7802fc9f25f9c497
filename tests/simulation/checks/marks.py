"""Places that lives must come to: one that none reaches is simulated in name only."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ENOUGH", "EXPECTED", "unreached"]

ENOUGH = 2000
"""Lives after which each mark must have been reached."""

_STEPS = ("begin", "commit", "committed", "mark", "marked", "leave", "reply", "thread")

EXPECTED = (
    "a halved batch came to its last record",
    "a proxy gave up on the server",
    "a quiet period began while an intent waited",
    "an abandoned job refused to run",
    "an abandoned job refuses to go on",
    "an intent was taken back unsent",
    "decided by a choice",
    "decided delivered",
    "decided failed",
    "decided resend",
    "decided retry",
    *(f"died at {step}" for step in _STEPS),
    "died while recovering",
    *(f"disk error at {step}" for step in ("commit", "mark", "open", "read", "sync", "write")),
    *(f"disk full at {step}" for step in ("commit", "mark", "sync", "write")),
    *(f"frozen at {step}" for step in _STEPS),
    "looked beside a run",
    "looked between runs",
    "opened within a quiet period",
    "paused beside a run",
    "paused between runs",
    "sent again after it was lost",
    "stored after the client gave up",
    "the clock was set ahead",
    "the clock was set back",
    "the last commit was torn",
)


def unreached(marks: Mapping[str, int], lives: int) -> list[str]:
    """What so many lives should have come to, and did not."""
    return [] if lives < ENOUGH else [each for each in EXPECTED if not marks.get(each)]
