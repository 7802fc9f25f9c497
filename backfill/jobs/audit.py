"""Whether the books balance, counted anew from what lies in the job's directory."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from backfill.core.errors import JobError
from backfill.jobdir.copies import drop_copy, here
from backfill.jobdir.manifest import Manifest, fingerprint
from backfill.jobdir.storage_wait import is_away, storage_error
from backfill.ledger import AnyLedger

__all__ = ["BOUND_TO", "audit"]

BOUND_TO = "manifest"
"""The fact in a ledger that names the manifest it belongs to, by its fingerprint."""


def audit(directory: Path, manifest: Manifest, ledger: AnyLedger, *, through: bool = False) -> None:
    """Compare the manifest's counts with the files' own and with the ledger's ranges.

    Raises JobError that names the first thing that does not agree, and StorageError where the files
    cannot be reached.

    Costs a look at each file's size and time. A file is read whole where these are not what they
    were, as with a copied job each time, and always with `through`, for a plan that goes by what
    another job has sent. A run reads each bucket anyway before it sends any of it. What lies in an
    object store alone is compared when it is copied, and a damaged copy is copied anew.
    """
    try:
        _compare(directory, manifest, ledger, through=through)
    except OSError as error:
        raise storage_error(directory, error) from error
    except JobError as error:
        if is_away(directory, gone := FileNotFoundError()):  # so no single file is lost
            raise storage_error(directory, gone) from error
        raise


def _compare(directory: Path, manifest: Manifest, ledger: AnyLedger, *, through: bool) -> None:
    bound = ledger.get_meta(BOUND_TO)
    if bound is not None and bound != fingerprint(directory):
        _fail(directory, "the ledger belongs to another manifest.json, or that was changed")
    expected = {"rejected.parquet": manifest.rejected, "duplicates.parquet": manifest.duplicate}
    if manifest.excluded:  # a job of a version that could not exclude has no such file
        expected["excluded.parquet"] = manifest.excluded
    expected |= {f"ready/{bucket.file}": bucket.rows for bucket in manifest.buckets}
    for name in here(directory, expected):
        count = expected[name]
        seal = manifest.seals.get(name)
        if seal is not None and (directory / name).exists() and seal.untouched(directory / name):
            continue  # it is the file of which the manifest says so many rows
        rows = _rows(directory / name)
        if rows != count and drop_copy(directory, name):
            continue
        if rows is None:
            there = (directory / name).exists()
            _fail(directory, f"{name} {'cannot be read' if there else 'is missing'}")
        if rows != count:
            _fail(directory, f"{name} has {rows} rows where the manifest says {count}")
    _refuse_changed_files(directory, manifest, through=through)
    ready = sum(bucket.rows for bucket in manifest.buckets)
    if manifest.ready != ready:
        _fail(directory, f"{manifest.ready} records are to be ready, and the buckets hold {ready}")
    if manifest.input != manifest.excluded + manifest.rejected + manifest.duplicate + ready:
        _fail(directory, f"{manifest.input} rows came in, but the files hold another number")
    for number, bucket in enumerate(manifest.buckets):
        ranges = ledger.settled(number)
        if ranges and (ranges[0][0] < 0 or ranges[-1][1] > bucket.rows):
            _fail(directory, f"the ledger speaks of rows that {bucket.file} does not have")


def _refuse_changed_files(directory: Path, manifest: Manifest, *, through: bool) -> None:
    for name in here(directory, manifest.seals):
        seal, path = manifest.seals[name], directory / name
        try:
            same = (not through and seal.untouched(path)) or seal.holds(path)
        except FileNotFoundError:
            _fail(directory, f"{name} is missing")
        if not same and not drop_copy(directory, name):
            _fail(directory, f"{name} is not what was planned: its content was changed")


def _rows(path: Path) -> int | None:
    """How many rows the file has; None where it is missing or is no such file. Raises OSError."""
    import polars as pl  # noqa: PLC0415 - only when there is something to count

    try:
        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    except (FileNotFoundError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _fail(directory: Path, message: str) -> NoReturn:
    raise JobError(
        f"THE BOOKS DO NOT BALANCE: {message}",
        where=str(directory),
        hint="A file of the job was changed or lost. Restore it from a copy; nothing more is sent"
        " from this job until then.",
    )
