"""The jobs that `delivered_by` names: by a directory, a configuration, an address or a glob."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from os.path import realpath
from pathlib import Path

from backfill.config import Config
from backfill.core.errors import JobError
from backfill.core.typed_paths import literal_path
from backfill.jobdir.copies import refresh
from backfill.jobdir.job_paths import job_directory
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.store_addresses import address_of, copy_of
from backfill.jobs.chain.rest import sent_by
from backfill.jobs.readonly import look

__all__ = ["NAMES_NONE", "WHERE", "named_jobs"]

WHERE = "[dedupe] delivered_by"
"""Where a configuration names them, as messages say it."""

NAMES_NONE = (
    "A name that matches nothing would send again what was delivered. Correct it, or leave it out."
)
"""What helps where a name is that of no job."""


def named_jobs(
    config: Config, directory: Path, *, strict: bool = True
) -> Iterator[tuple[str, Path]]:
    """Every job that `delivered_by` names, by a name and a place; a glob leaves this job out.

    Where another job has begun to send the rest of one, that is as good as named.
    """
    seen = {realpath(directory)}
    for name in config.dedupe.delivered_by:
        literal = copy_of(name) or config.directory / name
        matches = [literal]
        is_glob = glob.has_magic(name) and not literal.exists()
        if is_glob:
            pattern = os.path.join(glob.escape(str(config.directory)), name)  # noqa: PTH118
            matches = [Path(each) for each in sorted(glob.glob(pattern))]  # noqa: PTH207
            if not matches and strict:
                raise JobError(f"no job matches {name}", where=WHERE, hint=NAMES_NONE)
        for match in matches:
            place = job_directory(match) if match.is_file() else literal_path(match)
            refresh(place)
            if realpath(place) in seen:
                if not is_glob and strict and realpath(place) == realpath(directory):
                    raise JobError(f"{name} is this job itself", where=WHERE)
                continue
            if is_glob and not Manifest.exists(place):
                continue
            shown = os.path.relpath(match, config.directory) if is_glob else name
            yield shown, place
            seen.add(realpath(place))
            while (rest := _sent_rest(place)) is not None and realpath(rest) not in seen:
                if strict and not Manifest.exists(rest):
                    raise JobError(
                        f"{rest} has begun to send the rest of {shown}, and is not there any more",
                        where=WHERE,
                        hint="Nobody else knows what it delivered: restore its directory.",
                    )
                place, shown = rest, address_of(rest) or os.path.relpath(rest, config.directory)
                yield shown, place
                seen.add(realpath(place))


def _sent_rest(place: Path) -> Path | None:
    """The job that has begun to send the rest of the one in `place`."""
    if not Manifest.exists(place):
        return None
    with look(place) as (ledger, _):
        rest = sent_by(place, ledger)
    if rest is not None:
        refresh(rest)
    return rest
