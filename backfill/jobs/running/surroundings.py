"""What a run takes from the world around it: the network, chance, the clock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

__all__ = ["Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Network, chance and clock of a run; by default the real ones.

    `wall` gives seconds since the epoch. A `transport` that is given stays open. Without `shared`
    a run does not share its rate with the others of this machine.
    """

    transport: httpx.AsyncBaseTransport | None = None
    rng: random.Random | None = None
    wall: Callable[[], float] = time.time
    shared: bool = True
