"""A file that appears whole or not at all, and one that survives a power cut."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["put_in_place", "sync"]


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


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, survive a power cut. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
