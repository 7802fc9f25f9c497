"""The destinations that are installed, by name: ours and those of other packages."""

from __future__ import annotations

from backfill.destinations.registry import (
    GROUP,
    builtin_destinations,
    destination,
    installed_destinations,
    known_names,
)

__all__ = ["GROUP", "builtin_destinations", "destination", "installed_destinations", "known_names"]
