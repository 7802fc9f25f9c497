"""Paths that begin with `~`, which Polars always takes for the home directory and Python never.

A path goes through here where it comes in, so that all that is done with it means one place.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["literal_path", "typed_path"]


def typed_path(text: str | Path) -> Path:
    """The path that somebody typed; it does not begin with `~`.

    A `~/…` that a shell left as it stands, as behind `--job=`, is in the home directory, unless
    something in the working directory is really called so. `./~/…` always means that.
    """
    path = Path(text)
    if str(text).startswith("~") and not os.path.lexists(path.parts[0]):
        path = Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises for no such user
    return literal_path(path)


def literal_path(path: Path) -> Path:
    """The same path, absolute where it begins with `~` and would not mean itself to Polars."""
    return path.absolute() if str(path).startswith("~") else path
