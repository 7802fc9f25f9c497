"""Places that lives must come to: one that none reaches is simulated in name only."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ENOUGH", "EXPECTED", "unreached"]

ENOUGH = 2000
"""Lives after which each mark must have been reached."""

EXPECTED = (
    "a halved batch came to its last record",
    "an abandoned job refuses to go on",
    "an intent was taken back unsent",
    "decided delivered",
    "decided failed",
    "decided resend",
    "decided retry",
    "died at begin",
    "died at commit",
    "died at committed",
    "died at leave",
    "died at mark",
    "died at marked",
    "died at reply",
    "died while recovering",
    "disk error at commit",
    "disk error at mark",
    "disk error at read",
    "disk full at commit",
    "disk full at mark",
    "looked beside a run",
    "looked between runs",
    "opened within a quiet period",
    "stored after the client gave up",
    "the last commit was torn",
)


def unreached(marks: Mapping[str, int], lives: int) -> list[str]:
    """What so many lives should have come to, and did not."""
    return [] if lives < ENOUGH else [each for each in EXPECTED if not marks.get(each)]
