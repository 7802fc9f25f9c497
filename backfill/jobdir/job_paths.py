"""How a job is named: by its configuration, or by its directory where the two lie apart."""

from __future__ import annotations

import shlex
from pathlib import Path

from backfill.config import Config

__all__ = ["job_directory", "job_name"]


def job_directory(name: str | Path, job: str | Path | None = None) -> Path:
    """The directory of a job named by its directory or by its configuration file.

    A configuration's job lies beside it, under its name without the ending plus `.job`.
    """
    if job is not None:
        return Path(job)
    path = Path(name)
    if path.is_dir() or path.suffix == ".job":
        return path
    return path.with_suffix(".job")


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
