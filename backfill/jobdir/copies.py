"""A job that lies in an object store, and the copy of it that a machine works on.

The copy lies in this user's cache, under a path that tells the address, so nothing else has to be
remembered. It may be removed at any time: what lies in the store is the job. There, each plan has
a folder of its own, which nobody changes, and the object `job.json` names the one that holds. It is
put last, and only where there is none.

Manifest and ledger's place are copied when a job is opened, a file of records when it is needed;
each is compared with the plan's hash.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backfill.core.errors import BackfillError, ConfigError, JobError
from backfill.core.job_files import LEDGER_PLACE, MANIFEST, PUBLISHED
from backfill.jobdir.ledger_place import LedgerPlace
from backfill.jobdir.manifest import Manifest
from backfill.jobdir.object_storage import ObjectStorage
from backfill.jobdir.ownership import clear
from backfill.jobdir.store_addresses import address_of, named

__all__ = [
    "drop_copy",
    "here",
    "job_file",
    "publish",
    "refresh",
    "refuse_address",
]


def refresh(directory: Path) -> None:
    """Have the copy of a job be what its object store holds now. Other jobs are left as they are.

    Raises BackfillError where the store cannot be asked.
    """
    address = address_of(directory)
    if address is None:
        return
    storage = ObjectStorage(address)
    published = storage.read(PUBLISHED)
    with _writing(directory):
        if _is_copy_of(directory, published):
            return
    with _writing(directory), _alone(directory):
        if _is_copy_of(directory, published):
            return  # another process of this machine was quicker
        if _known(directory) is not None:
            (directory / PUBLISHED).unlink()
            clear(directory)
        if published is None:
            return
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (LEDGER_PLACE, MANIFEST):
            _fetch(storage, _folder(published, address), name, directory)
        _note(directory, published)


def job_file(directory: Path, name: str) -> Path:
    """A file of the job in `directory`, such as `ready/000.parquet`; copied first, if need be.

    Raises BackfillError where it cannot be copied, and JobError where it is not what was planned.
    """
    path = directory / name
    if here(directory, [name]):
        return path
    address, published = address_of(directory), _known(directory)
    assert address is not None  # noqa: S101 - or nothing is away
    if published is None:
        return path
    with _writing(directory):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _fetch(ObjectStorage(address), _folder(published, address), name, directory)
    return path


def refuse_address(directory: Path) -> None:
    """Raise ConfigError for a job of one machine that is to lie in an object store."""
    address = address_of(directory)
    if address is not None:
        raise ConfigError(
            "a job in an object store needs a ledger that machines share",
            where=address,
            hint="Write `storage` and `ledger` under [cluster] in its configuration file.",
        )


def here(directory: Path, names: Iterable[str]) -> list[str]:
    """Those of the job's files that do not lie in the object store alone."""
    if address_of(directory) is None:
        return list(names)
    return [name for name in names if (directory / name).exists()]


def drop_copy(directory: Path, name: str) -> bool:
    """Remove a copy that is not what was planned, for `job_file` to copy it anew.

    False where the job lies here: then it is the file itself that is wrong.
    """
    if address_of(directory) is None:
        return False
    with _writing(directory):
        (directory / name).unlink(missing_ok=True)
    return True


def publish(directory: Path, manifest: Path) -> None:
    """Put a job that was planned in its copy into the object store, `manifest` included.

    A plan of which nothing was sent is replaced, where it is the one that this copy was made of.
    Raises FileExistsError where another machine was first.
    """
    address = address_of(directory)
    place = LedgerPlace.read(directory)
    if address is None or place is None:
        return
    storage = ObjectStorage(address)
    content = json.dumps({"format": 1, "plan": place.schema}).encode()
    folder = _folder(content, address)
    names = [MANIFEST, LEDGER_PLACE, *_planned(directory)]
    for name in names:
        path = manifest if name == MANIFEST else directory / name
        storage.put(f"{folder}/{name}", path)
    before, known = storage.read(PUBLISHED), _known(directory)
    if before is not None and before == known:
        storage.remove([PUBLISHED])
    try:
        storage.put_new(PUBLISHED, content)
    except FileExistsError:
        # An answer that did not come makes the store's client ask again, and find what it put.
        if storage.read(PUBLISHED) != content:
            storage.remove([f"{folder}/{name}" for name in names])
            raise
    _note(directory, content)
    if before is not None:
        with suppress(BackfillError):  # in nobody's way
            storage.remove(storage.names(_folder(before, address)))


# --- parts -----------------------------------------------------------------------------------


def _planned(directory: Path) -> list[str]:
    """What a plan made for those who run the job or look at it."""
    found = [*directory.glob("*.parquet"), *(directory / "ready").glob("*.parquet")]
    return sorted(path.relative_to(directory).as_posix() for path in found)


def _known(directory: Path) -> bytes | None:
    """What was published when the copy was made."""
    try:
        return (directory / PUBLISHED).read_bytes()
    except FileNotFoundError:
        return None


def _is_copy_of(directory: Path, published: bytes | None) -> bool:
    """Whether this is the copy of what was published, as far as looking at a job needs it."""
    if _known(directory) != published:
        return False
    names = (MANIFEST, LEDGER_PLACE)
    return published is None or all((directory / name).exists() for name in names)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One process of this machine at a time: one would clear what another has just copied."""
    from filelock import FileLock  # noqa: PLC0415 - few jobs lie in an object store

    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(directory.with_name(f".{directory.name}.lock"), mode=0o600):
        yield


def _note(directory: Path, published: bytes) -> None:
    path = directory / PUBLISHED
    path.write_bytes(published)
    path.chmod(0o600)


def _folder(published: bytes, address: str) -> str:
    """The folder of the plan that holds."""
    try:
        content = json.loads(published)
        if content["format"] == 1:
            return f"plans/{content['plan']}"
    except (ValueError, KeyError, TypeError):
        pass
    raise JobError(
        "the job was put there by another version of backfill",
        where=f"{address}/{PUBLISHED}",
        hint="Open it with the version that planned it.",
    )


def _fetch(storage: ObjectStorage, folder: str, name: str, directory: Path) -> None:
    """Copy one file whole, or not at all."""
    number, draft = tempfile.mkstemp(dir=directory, prefix=".draft-")
    os.close(number)
    path = Path(draft)
    try:
        storage.fetch(f"{folder}/{name}", path)
        if name not in (MANIFEST, LEDGER_PLACE):
            seal = Manifest.read(directory).seals[name]
            if not seal.holds(path):
                raise JobError(
                    f"{name} is not what was planned: its content was changed",
                    where=storage.address,
                    hint="Restore the objects from a copy. The ledger alone knows what was sent.",
                )
            os.utime(path, ns=(seal.mtime_ns, seal.mtime_ns))
        path.replace(directory / name)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackfillError(
            f"the copy of the job in {directory} cannot be written: {error.strerror or error}",
            where=named(directory),
            hint="Check the free space and the permissions; XDG_CACHE_HOME names another place.",
        ) from error
