"""How a job is named: by its configuration, or by its directory where the two lie apart."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path

from backfill.config import Config
from backfill.core.errors import ConfigError
from backfill.core.terminal import path_argument
from backfill.core.typed_paths import literal_path, typed_path
from backfill.jobdir.store_addresses import copy_of, named

__all__ = ["job_directory", "job_name", "named_place", "names_job"]


def job_directory(name: str | Path, job: str | Path | None = None) -> Path:
    """The directory of a job named by its directory or by its configuration file.

    A configuration's job lies beside it, under its name without the ending plus `.job`; with a
    [cluster] section it lies in the storage that this names, and so does a `job` whose path is
    relative. A job in an object store is worked on in a copy, and named by its address or by that.
    Raises ConfigError for a storage that is not there.
    """
    if not names_job(name):
        _refuse_missing(_storage(typed_path(name)))
    return _directory(name, job)


def _directory(name: str | Path, job: str | Path | None = None) -> Path:
    path = typed_path(name)
    if names_job(name):
        return named_place(name if job is None else job)
    storage = _storage(path)
    if storage is None:
        return path.with_suffix(".job") if job is None else named_place(job)
    own = job if job is not None else f"{path.stem}.job"
    if Path(own).is_absolute() or copy_of(str(own)) is not None:
        return named_place(own)
    return named_place(f"{storage}/{own}") if isinstance(storage, str) else storage / own


def names_job(name: str | Path) -> bool:
    """Whether a name is a job's own, and not that of its configuration."""
    path = typed_path(name)
    return path.is_dir() or path.suffix == ".job" or copy_of(str(name)) is not None


def named_place(name: str | Path) -> Path:
    """A job's directory by its own name; of one in an object store that of the copy."""
    return copy_of(str(name)) or typed_path(name)


def _storage(config: Path) -> Path | str | None:
    """The directory, or the address, that a configuration names as storage. Whatever else is wrong
    is said where it is read.
    """
    try:
        content = tomllib.loads(config.read_bytes().removeprefix(codecs.BOM_UTF8).decode())
        storage = content["cluster"]["storage"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(storage, str) or not storage.strip():
        return None
    if "://" in storage:
        return storage.rstrip("/")
    return literal_path(config.parent / storage)


def _refuse_missing(storage: Path | str | None) -> None:
    if isinstance(storage, Path) and not storage.is_dir():
        raise ConfigError(
            f"{storage} is no directory on this machine",
            where="[cluster] storage",
            hint="Mount it, or make it once; every machine of the job must see the same one.",
        )


def job_name(directory: Path, config: Config | None) -> str:
    """What a command that goes on is told, quoted for a shell, whether or not it is there now."""
    own = named(directory)
    if config is None or config.path is None:
        return path_argument(own)
    path = path_argument(config.path)
    if _directory(config.path).absolute() == directory.absolute():
        # A job that was opened by its directory is named as it was then.
        found = config.path.is_absolute() and not directory.is_absolute()
        return path_argument(directory) if found else path
    return f"{path} --job {path_argument(own)}"
