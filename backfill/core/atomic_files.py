"""Files that appear whole or not at all, survive a power cut, or cannot be written."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["free_name", "os_error_message", "put_in_place", "put_new", "sync"]

_LINKLESS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK)  # what a file system says without links
_PROBE = 1 << 20  # bytes that must find room where a plan failed for another reason than room


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """Yield a private draft beside `path` that takes its place when the block ends well.

    What is there already stays until then, and after a failure. A device or a pipe cannot be
    replaced, so it is yielded itself. Raises OSError.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".draft-", suffix=path.suffix)
    os.close(number)
    draft = Path(name)
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def put_new(draft: Path, path: Path) -> None:
    """Have a file take a name that nothing has, in one step, whoever else tries.

    A file system without links looks first. Raises FileExistsError, and other OSErrors.
    """
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _LINKLESS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        draft.rename(path)
        return
    draft.unlink()


def free_name(name: str) -> str:
    """A name for a new file in the working directory: `failed.csv`, or else `failed-2.csv`."""
    path, number = Path(name), 1
    while path.exists() or path.is_symlink():
        number += 1
        path = Path(name).with_stem(f"{Path(name).stem}-{number}")
    return str(path)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, survive a power cut. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def os_error_message(error: BaseException, directory: Path) -> str | None:
    """What the operating system says is wrong with writing into a directory, None for others."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # Polars wraps what it meets while writing in an error, or a panic, of its own, which does
    # not always say what it was: so it is tried again.
    if not type(error).__module__.startswith(("polars", "pyo3")):
        return None
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found is not None:
        return os.strerror(int(found[1]))
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            for _ in range(_PROBE // 4096):
                file.write(b"\0" * 4096)
    except OSError as again:
        return again.strerror or str(again)
    return None
