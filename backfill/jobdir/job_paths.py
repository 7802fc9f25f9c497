"""How a job is named: by its configuration, or by its directory where the two lie apart."""

from __future__ import annotations

import codecs
import shlex
import tomllib
from pathlib import Path

from backfill.config import Config
from backfill.core.errors import ConfigError

__all__ = ["job_directory", "job_name"]


def job_directory(name: str | Path, job: str | Path | None = None) -> Path:
    """The directory of a job named by its directory or by its configuration file.

    A configuration's job lies beside it, under its name without the ending plus `.job`; with a
    [cluster] section it lies in the storage that this names, and so does a `job` whose path is
    relative. Raises ConfigError for a storage that is not there.
    """
    path = Path(name)
    if path.is_dir() or path.suffix == ".job":
        return path if job is None else Path(job)
    storage = _storage(path)
    if storage is not None:
        return storage / (job if job is not None else f"{path.stem}.job")
    return path.with_suffix(".job") if job is None else Path(job)


def _storage(config: Path) -> Path | None:
    """The storage that a configuration names. Whatever else is wrong is said where it is read."""
    try:
        content = tomllib.loads(config.read_bytes().removeprefix(codecs.BOM_UTF8).decode())
        storage = content["cluster"]["storage"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(storage, str) or not storage.strip():
        return None
    if "://" in storage:
        raise ConfigError(
            "a job cannot be delivered from an object store",
            where="[cluster] storage",
            hint="Name a directory that all machines share.",
        )
    place = config.parent / storage
    if not place.is_dir():
        raise ConfigError(
            f"{place} is no directory on this machine",
            where="[cluster] storage",
            hint="Mount it, or make it once; every machine of the job must see the same one.",
        )
    return place


def job_name(directory: Path, config: Config | None) -> str:
    """What a command that goes on is told, quoted for a shell."""
    if config is None or config.path is None:
        return shlex.quote(str(directory))
    path = shlex.quote(str(config.path))
    if job_directory(config.path).absolute() == directory.absolute():
        # A job that was opened by its directory is named as it was then.
        found = config.path.is_absolute() and not directory.is_absolute()
        return shlex.quote(str(directory)) if found else path
    return f"{path} --job {shlex.quote(str(directory))}"
