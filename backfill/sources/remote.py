"""Files behind an address, copied into a private temporary file.

No credential of a destination goes along: http addresses are asked without any, object stores
with what the machine's own environment has for them.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backfill.core.errors import SourceError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["Copies", "fetched", "listed"]

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
            # Without the environment: a netrc file would add a password, a proxy would read along.
            # What OpenSSL itself reads (SSL_CERT_FILE) holds, as it does when we deliver.
            httpx.Client(
                timeout=_TIMEOUT,
                follow_redirects=True,
                trust_env=False,
                verify=ssl.create_default_context(),
            ) as client,
            client.stream("GET", address) as reply,
            path.open("wb") as file,
        ):
            if address.startswith("https://") and any(
                each.url.scheme != "https" for each in (*reply.history, reply)
            ):
                raise SourceError("the server sends us away from https", where=name)
            if reply.status_code != 200:
                raise SourceError(
                    f"the server answered {reply.status_code} {reply.reason_phrase}", where=name
                )
            for chunk in reply.iter_raw():
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(f"cannot be fetched: {error}", where=name) from error


def _copy_object(address: str, path: Path, name: str) -> None:
    import obstore  # noqa: PLC0415 - most sources are local

    folder, _, key = address.rpartition("/")
    try:
        with path.open("wb") as file:
            for chunk in obstore.get(_store(folder), key).stream():
                file.write(chunk)
    except (obstore.exceptions.BaseError, ValueError, OSError) as error:
        raise _unreachable(error, name) from error


def listed(address: str) -> list[str]:
    """The addresses of the objects that a glob, or a folder ending in `/`, stands for, sorted.

    Raises SourceError where the store cannot be asked.
    """
    import obstore  # noqa: PLC0415 - most sources are local

    folder = re.split("[*?]", address, maxsplit=1)[0].rpartition("/")[0]
    rest = address.removeprefix(folder + "/") or "**"
    wanted = re.compile("".join(_GLOB.get(part, re.escape(part)) for part in _parts(rest)))
    try:
        keys = [each["path"] for batch in obstore.list(_store(folder)) for each in batch]
    except (obstore.exceptions.BaseError, ValueError, OSError) as error:
        raise _unreachable(error, address) from error
    return sorted(f"{folder}/{key}" for key in keys if wanted.fullmatch(key))


def _parts(pattern: str) -> list[str]:
    return [part for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern) if part]


_GLOB = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _store(folder: str) -> ObjectStore:
    """The store behind a folder's address; the environment says who asks, as with other tools."""
    from obstore.store import from_url  # noqa: PLC0415 - most sources are local

    return from_url(
        folder,
        client_options={
            "timeout": "1h",  # for one object, however large
            "connect_timeout": "10s",
            # options given here hide those of the environment, where a store of one's own says so
            "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
        },
        retry_config={"max_retries": 3},
    )


def _unreachable(error: Exception, name: str) -> SourceError:
    reason = str(error).strip().split("\n")[0]
    return SourceError(f"cannot be fetched: {reason}", where=name)
