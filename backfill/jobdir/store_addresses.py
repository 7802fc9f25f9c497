"""A job in an object store goes by its address, and its copy lies under a path that tells it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from backfill.config.cluster import OBJECT_STORES
from backfill.core.errors import ConfigError
from backfill.core.own_directories import cache_directory
from backfill.core.terminal import path_argument

__all__ = ["address_of", "copy_of", "named", "named_for_all", "typed_job"]

_ADDRESS = re.compile(rf"({'|'.join(OBJECT_STORES)})://([^/]+)/(.+)", re.IGNORECASE | re.ASCII)


def copy_of(address: str) -> Path | None:
    """Where the copy of a job in an object store lies; None for what is no such address.

    Raises ConfigError for a path that no copy can have.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    parts = found[3].rstrip("/").split("/")
    if any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise ConfigError(
            "a folder in an object store needs a name",
            where=address,
            hint="Leave `.`, `..` and empty parts out of it.",
        )
    return _root().joinpath(found[1].lower(), found[2], *parts)


def address_of(directory: Path) -> str | None:
    """The address of a job whose copy this is; None for a job's own directory."""
    absolute, root = os.path.abspath(directory), os.path.join(_root(), "")  # noqa: PTH100, PTH118 - keeps links, and a run asks often
    if not absolute.startswith(root):
        return None
    scheme, *parts = Path(absolute).relative_to(root).parts
    return f"{scheme}://{'/'.join(parts)}"


def named(directory: Path) -> str:
    """A job as commands and messages name it: its address where this is a copy."""
    return address_of(directory) or str(directory)


def named_for_all(directory: Path) -> str:
    """A job as every machine calls it, whatever directory its command is typed in."""
    return address_of(directory) or str(directory.absolute())


def typed_job(directory: Path) -> str:
    """A job as it is typed in a shell, for the commands that a message tells."""
    return path_argument(named(Path(os.path.normpath(directory))))


def _root() -> Path:
    return cache_directory() / "jobs"
