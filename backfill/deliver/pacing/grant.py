"""The permission to send one request."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Grant"]


class Grant:
    """The permission to send one request, as long as no quiet period begins before it is used.

    `at` is when it was given, `rate` how many requests a second went then, `number` how many were
    given with this one, of which so many were `out`; it was given `gap` seconds after the one
    before. `holds` says whether what was granted in a `generation` holds still.
    """

    __slots__ = ("_holds", "at", "gap", "generation", "given_back", "number", "out", "rate")

    def __init__(
        self,
        holds: Callable[[int], bool],
        generation: int,
        *,
        at: float,
        rate: float,
        number: int,
        out: int,
        gap: float,
    ) -> None:
        self._holds = holds
        self.generation = generation
        self.at = at
        self.rate = rate
        self.number = number
        self.out = out
        self.gap = gap
        self.given_back = False

    def still_valid(self) -> bool:
        """Whether the request may go out now. Ask after the intent is written down."""
        return self._holds(self.generation)
