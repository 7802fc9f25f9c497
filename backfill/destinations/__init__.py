"""The destinations, by name."""

from __future__ import annotations

from backfill.core.errors import ConfigError, did_you_mean
from backfill.destinations.base import AnyOf, Destination, Field, Kind, TargetAgrees
from backfill.destinations.prelude import WatchEvents, WatchFeedbacks
from backfill.destinations.pristo import PristoEvents

__all__ = ["DESTINATIONS", "AnyOf", "Destination", "Field", "Kind", "TargetAgrees", "destination"]

DESTINATIONS: dict[str, Destination] = {
    each.name: each for each in (WatchEvents(), WatchFeedbacks(), PristoEvents())
}


def destination(name: str) -> Destination:
    """Look a destination up. Raises ConfigError with the nearest right name."""
    try:
        return DESTINATIONS[name]
    except KeyError:
        raise ConfigError(
            f"there is no destination {name!r}",
            where="destination",
            hint=did_you_mean(name, DESTINATIONS),
        ) from None
