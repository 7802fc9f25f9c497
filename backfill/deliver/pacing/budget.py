"""What a pacer asks of a budget that other runs draw on, too, and what it hears of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

__all__ = ["Budget", "News"]


@dataclass(frozen=True, slots=True)
class News:
    """What the other runs did since the last look: how many requests they sent at which moments,
    how many were accepted, and when refused ones had left, at which rate.
    """

    sent: tuple[tuple[float, int], ...] = ()
    accepted: int = 0
    refused: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, each: Sequence[Self]) -> Self:
        """The news of several looks as those of one."""
        return cls(
            tuple(sending for one in each for sending in one.sent),
            sum(one.accepted for one in each),
            tuple(refusal for one in each for refusal in one.refused),
        )


class Budget(Protocol):
    """Where permissions to send come from when others draw on the same limit. Moments are of the
    pacer's clock, which is the same for all, where nothing else is said."""

    other: str  # what another one that draws on it is, in words

    @property
    def leads(self) -> bool:
        """Whether this run is the one that finds the rate."""

    @property
    def others(self) -> int:
        """How many other runs draw on it."""

    @property
    def rate(self) -> float | None:
        """Requests a second, as the one that leads has found it."""

    @property
    def draws(self) -> bool:
        """Whether permissions come from here: while a run is alone it may need none."""

    def find(self, *, find: bool) -> None:
        """Whether this run has a rate to find from now on."""

    def look(self, now: float, rate: float) -> None:
        """See now and then who else is there. Call it as often as convenient."""

    def quiet_left(self) -> float:
        """For how many seconds from now nobody sends. Cheap enough for each request."""

    def draw(self, now: float, rate: float) -> float:
        """Take a permission: 0, or the seconds until one may be there. `rate` is a second."""

    def accepted(self) -> None:
        """A request was accepted."""

    def refused(self, sent_at: float, rate: float) -> None:
        """A request that left then, at this rate for all, was told to slow down."""

    def quiet(self, seconds: float) -> None:
        """Nobody sends for so many seconds from now."""

    def news(self) -> News:
        """What the others did since this was asked last."""

    def close(self) -> None:
        """The run is over."""
