"""Places that lives of several deliverers must come to."""

from __future__ import annotations

from collections.abc import Mapping

from tests.simulation.several.fates import BOUNDARIES

__all__ = ["ENOUGH", "EXPECTED", "SEVERAL", "unreached"]

SEVERAL = "several deliverers"
"""What their marks begin with."""

ENOUGH = 1000
"""Lives after which each mark must have been reached."""

EXPECTED = (
    "a take-over found requests in flight",
    *(f"died at {boundary}" for boundary in BOUNDARIES),
    *(f"frozen at {boundary}" for boundary in BOUNDARIES),
    "a bucket was gone when its owner came back",
    "a bucket was handed over",
    "a limit that the run does not have was refused",
    "a limit was shared",
    "a notice was lost",
    "a quiet period that a draw alone told called a request back",
    "a quiet period was heard of by another",
    "a request waited for its connection",
    "a session was cut, and its locks with it",
    "looked",
    "one joined late",
    "one that was silent was cut off",
    "paused",
    "the database was started anew",
    "the database was away",
    "the lease was lost between an intent and its bytes",
)


def unreached(marks: Mapping[str, int], lives: int) -> list[str]:
    """What so many lives should have come to, and did not."""
    if lives < ENOUGH:
        return []
    return [each for each in EXPECTED if not marks.get(f"{SEVERAL}: {each}")]
