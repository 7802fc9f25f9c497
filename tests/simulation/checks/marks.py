"""Places that lives must come to: one that none reaches is simulated in name only."""

from __future__ import annotations

from collections.abc import Mapping

from backfill.core.model import Fault, StopKind

__all__ = ["ENOUGH", "EXPECTED", "unreached"]

ENOUGH = 2000
"""Lives after which each mark must have been reached."""

_STEPS = ("begin", "commit", "committed", "mark", "marked", "leave", "reply", "thread")

EXPECTED = (
    "a decision found requests in flight",
    "a halved batch came to its last record",
    "a later wait ended earlier by the wall clock",
    "a proxy gave up on the server",
    "a quiet period began while an intent waited",
    "a wait was over at a second reading",
    "an abandoned job refused to run",
    "an abandoned job refuses to go on",
    "an intent was taken back unsent",
    "arrived as its client died",
    "bad items of a batch were named",
    "decided by a choice",
    "decided delivered",
    "decided failed",
    "decided resend",
    "decided retry",
    *(f"died at {step}" for step in _STEPS),
    "died while recovering",
    "died while somebody decided",
    *(f"disk error at {step}" for step in ("commit", "mark", "open", "read", "sync", "write")),
    *(f"disk full at {step}" for step in ("commit", "mark", "sync", "write")),
    *(f"frozen at {step}" for step in _STEPS),
    "looked beside a run",
    "looked between runs",
    *(f"no reply: {fault}" for fault in Fault),
    "opened within a quiet period",
    "paused beside a run",
    "paused between runs",
    "sent again after it was lost",
    *(f"stopped: {kind}" for kind in StopKind if kind is not StopKind.FAULT),
    "stored after the client gave up",
    "stored twice under at-least-once",
    "the clock was set ahead",
    "the clock was set back",
    "ten ambiguous answers to one batch",
    "the last commit was torn",
    "told to wait again right after a wait",
    "written after a write had failed",
)


def unreached(marks: Mapping[str, int], lives: int) -> list[str]:
    """What so many lives should have come to, and did not."""
    return [] if lives < ENOUGH else [each for each in EXPECTED if not marks.get(each)]
