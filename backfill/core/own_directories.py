"""Where this user's programs keep what is neither configuration nor data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_directory", "state_directory"]


def state_directory() -> Path:
    """For what should outlive a restart of the machine."""
    if sys.platform == "win32":
        return _local_app_data() / "backfill"
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "backfill"
    return _xdg("XDG_STATE_HOME", Path(".local") / "state")


def cache_directory() -> Path:
    """For what can be had again, so that it may be removed while no program is at work."""
    if sys.platform == "win32":
        return _local_app_data() / "backfill" / "Cache"
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches" / "backfill"
    return _xdg("XDG_CACHE_HOME", Path(".cache"))


def _local_app_data() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")


def _xdg(variable: str, usual: Path) -> Path:
    given = Path(os.environ.get(variable, ""))
    return (given if given.is_absolute() else _home() / usual) / "backfill"


def _home() -> Path:
    """The user's home. Without HOME and an entry for the user it is the root directory, as where
    a container sets HOME: nothing can be kept there, and nothing needs to be.
    """
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")
