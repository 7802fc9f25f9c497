"""Files behind an address, copied into a private temporary file.

No credential of a destination goes along: http addresses are asked without any, object stores
with what the machine's own environment has for them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from backfill.errors import SourceError

__all__ = ["Copies", "fetched"]

_TIMEOUT = 60.0  # seconds without any byte


@contextmanager
def fetched(address: str, *, name: str) -> Iterator[Path]:
    """A copy of what lies behind `address`, removed afterwards."""
    handle, text = tempfile.mkstemp(prefix="backfill-")
    os.close(handle)
    path = Path(text)
    try:
        _fetch(address, path, name)
        yield path
    finally:
        path.unlink(missing_ok=True)


class Copies:
    """Copies of remote files in a private directory, removed when this object goes."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._count = 0

    def fetch(self, address: str, *, name: str) -> str:
        """Copy what lies behind `address`. Returns the copy's path. Raises SourceError."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="backfill-"))
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self._count += 1
        path = self._directory / str(self._count)
        _fetch(address, path, name)
        return str(path)


def _fetch(address: str, path: Path, name: str) -> None:
    """Copy what lies behind `address` into the file `path`. Raises SourceError."""
    if address.startswith(("http://", "https://")):
        _download(address, path, name)
    else:
        _copy_object(address, path, name)


def _download(address: str, path: Path, name: str) -> None:
    import httpx  # noqa: PLC0415 - most sources are local, and it takes a while to import

    try:
        with (
            httpx.stream("GET", address, timeout=_TIMEOUT, follow_redirects=True) as reply,
            path.open("wb") as file,
        ):
            if reply.status_code != 200:
                raise SourceError(
                    f"the server answered {reply.status_code} {reply.reason_phrase}", where=name
                )
            for chunk in reply.iter_raw():
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"cannot be fetched: {error}", where=name) from error


def _copy_object(address: str, path: Path, name: str) -> None:
    """Let Polars' object-store reader copy a Parquet file, or a text file line by line."""
    try:
        if address.lower().endswith((".parquet", ".pq")):
            pl.scan_parquet(address, glob=False, hive_partitioning=False).sink_parquet(path)
        else:
            lines = pl.scan_lines(address, glob=False)
            lines.sink_csv(path, include_header=False, quote_style="never")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise SourceError(f"cannot be fetched: {reason}", where=name) from error
