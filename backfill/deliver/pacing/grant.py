"""The permission to send one request."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Grant"]


class Grant:
    """The permission to send one request, as long as no quiet period begins before it is used.

    `at` is when it was given, `rate` how many requests a second went then, `number` how many were
    given with this one, and `ahead` how many requests it was ahead of an even spacing. `holds` says
    whether what was granted in a `generation` holds still.
    """

    __slots__ = ("_holds", "ahead", "at", "generation", "given_back", "number", "rate")

    def __init__(
        self,
        holds: Callable[[int], bool],
        generation: int,
        *,
        at: float,
        rate: float,
        number: int,
        ahead: float = 0.0,
    ) -> None:
        self._holds = holds
        self.generation = generation
        self.at = at
        self.rate = rate
        self.number = number
        self.ahead = ahead
        self.given_back = False

    def still_valid(self) -> bool:
        """Whether the request may go out now. Ask after the intent is written down."""
        return self._holds(self.generation)
