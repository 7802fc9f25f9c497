"""The directory of a job that is planned: made, and where its configuration lies from there."""

from __future__ import annotations

import os
from pathlib import Path

from backfill.core.errors import BackfillError, ConfigError
from backfill.jobdir.lock import refuse_links, unwritable
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.ownership import refuse_users_files
from backfill.jobdir.store_addresses import address_of

__all__ = ["make_directory", "remembered"]


def make_directory(directory: Path) -> None:
    """Make the job's directory, for its owner alone whatever the umask.

    Raises JobError where it holds something else, which stays as it is.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        refuse_links(directory)
        refuse_users_files(directory)
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        if Manifest.exists(directory):
            # Another name would make another job, which sends everything again.
            raise unwritable(directory, error) from error
        if (address := address_of(directory)) is not None:
            raise BackfillError(
                f"the copy of the job in {directory} cannot be made: {error.strerror or error}",
                where=address,
                hint="Name a directory for such copies with XDG_CACHE_HOME.",
            ) from error
        # A name that is a file's is a mistake of the command line; a full disk is not.
        named = isinstance(error, FileExistsError | NotADirectoryError)
        raise (ConfigError if named else BackfillError)(
            f"the job's directory cannot be made: {error.strerror or error}",
            where=str(directory),
            hint="Name another one with --job.",
        ) from error


def remembered(config: Path, directory: Path) -> str:
    """A configuration's path from its job's directory where the two can only be moved together."""
    path, job = config.absolute(), directory.absolute()
    return os.path.relpath(path, job) if job.is_relative_to(path.parent) else str(path)
