"""Files behind an address: copied byte for byte, and asked later whether they are the same.

No credential of a destination goes along: http addresses are asked without any, object stores
with what the machine's own environment has for them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import ssl
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backfill.core.errors import SourceError
from backfill.sources.object_stores import CREDENTIALS, open_store

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Copies",
    "GoneError",
    "RemoteVersion",
    "UnreachableError",
    "ask",
    "fetch",
    "hash_remote",
    "listed",
]

_SILENCE = 60.0  # seconds without any byte of a file
_PATIENCE = 20.0  # seconds for a question that has a short answer
_PIECE = 32 << 20  # bytes of an object that one request asks for
_TIME_OF_A_PIECE = "10m"  # so that the time for an object grows with its size


class UnreachableError(SourceError):
    """Nobody answered what lies behind an address, or the answer says nothing of it."""


class GoneError(SourceError):
    """The server says that there is nothing behind an address."""


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """What a server says of a file beside its bytes; None where it says nothing.

    `size` is in bytes as they are sent. `etag` is as HTTP writes it, `W/` included. `encoding` is
    the Content-Encoding: what the bytes are packed by, whatever the file is called.
    """

    size: int | None = None
    etag: str | None = None
    modified: str | None = None
    encoding: str | None = None


class Copies:
    """Where copies of remote files lie: in `directory`, or in one of their own.

    That is private, and removed when this object goes.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def path(self, name: str) -> Path:
        """The path of the copy of this name."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="backfill-"))
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        return self._directory / name


def fetch(address: str, path: Path, *, name: str) -> RemoteVersion:
    """Copy what lies behind `address` into the file `path`, as it is sent.

    Raises UnreachableError or GoneError.
    """
    with path.open("wb") as file:
        version, chunks = None, _chunks(address, name)
        for each in chunks:
            if isinstance(each, RemoteVersion):
                version = each
            else:
                file.write(each)
    return version or RemoteVersion()


def hash_remote(address: str, *, name: str) -> str:
    """The SHA-256 of the bytes behind `address`, in hexadecimal, which are kept nowhere.

    Raises UnreachableError or GoneError.
    """
    digest = hashlib.sha256()
    for each in _chunks(address, name):
        if not isinstance(each, RemoteVersion):
            digest.update(each)
    return digest.hexdigest()


def ask(address: str, *, name: str) -> RemoteVersion:
    """What the server says of the file behind `address`, without its bytes.

    Raises UnreachableError or GoneError.
    """
    if not address.startswith(("http://", "https://")):
        return _ask_store(
            address, name, patient=False
        )  # nobody waits long for what may be the same
    with _http_errors(name), _client(_PATIENCE) as client:
        reply = client.head(address)
        if reply.status_code == 200:
            return _version(reply)
        # Who may get a file need not be allowed to ask for its head, as with a signed address.
        with client.stream("GET", address) as reply:
            _check(reply, address, name)
            return _version(reply)


def _chunks(address: str, name: str) -> Iterator[RemoteVersion | bytes]:
    """What is said of a file, then its bytes."""
    if address.startswith(("http://", "https://")):
        return _download(address, name)
    return _read_object(address, name)


# --- http -----------------------------------------------------------------------------------


def _client(timeout: float) -> httpx.Client:
    import httpx  # noqa: PLC0415 - most sources are local, and it takes a while to import

    # Without the environment: a netrc file would add a password, a proxy would read along.
    # What OpenSSL itself reads (SSL_CERT_FILE) holds, as it does when we deliver.
    return httpx.Client(
        timeout=timeout,
        follow_redirects=True,
        trust_env=False,
        verify=ssl.create_default_context(),
        headers={"Accept-Encoding": "identity"},  # the file's own bytes, and their own size
    )


@contextmanager
def _http_errors(name: str) -> Iterator[None]:
    import httpx  # noqa: PLC0415 - most sources are local

    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise UnreachableError(f"cannot be fetched: {reason}", where=name) from error


def _download(address: str, name: str) -> Iterator[RemoteVersion | bytes]:
    with (
        _http_errors(name),
        _client(_SILENCE) as client,
        client.stream("GET", address) as reply,
    ):
        _check(reply, address, name)
        yield _version(reply)
        yield from reply.iter_raw()


def _check(reply: httpx.Response, address: str, name: str) -> None:
    if address.startswith("https://") and any(
        each.url.scheme != "https" for each in (*reply.history, reply)
    ):
        raise SourceError("the server sends us away from https", where=name)
    if reply.status_code != 200:
        kind = GoneError if reply.status_code in (404, 410) else UnreachableError
        raise kind(f"the server answered {reply.status_code} {reply.reason_phrase}", where=name)


def _version(reply: httpx.Response) -> RemoteVersion:
    length = reply.headers.get("Content-Length", "")
    encoding = reply.headers.get("Content-Encoding", "").strip().lower()
    return RemoteVersion(
        size=int(length) if length.isdecimal() else None,
        etag=reply.headers.get("ETag"),
        modified=reply.headers.get("Last-Modified"),
        encoding=None if encoding in ("", "identity") else encoding,
    )


# --- object stores --------------------------------------------------------------------------


def _ask_store(address: str, name: str, *, patient: bool = True) -> RemoteVersion:
    import obstore  # noqa: PLC0415 - most sources are local

    folder, _, key = address.rpartition("/")
    with _store_errors(name):
        meta = obstore.head(open_store(folder, time=f"{_PATIENCE:.0f}s", patient=patient), key)
    return RemoteVersion(meta["size"], meta["e_tag"], meta["last_modified"].isoformat())


def _read_object(address: str, name: str) -> Iterator[RemoteVersion | bytes]:
    """An object in pieces, all of one version of it: each piece has its own time to come."""
    import obstore  # noqa: PLC0415 - most sources are local

    folder, _, key = address.rpartition("/")
    known = _ask_store(address, name)
    if not known.size:
        yield known
        return
    with _store_errors(name):
        store = open_store(folder, time=_TIME_OF_A_PIECE)
        for start in range(0, known.size, _PIECE):
            end = min(start + _PIECE, known.size)
            found = obstore.get(store, key, options={"range": (start, end), "if_match": known.etag})
            if start == 0:
                encoding = found.attributes.get("Content-Encoding")
                yield RemoteVersion(known.size, known.etag, known.modified, encoding or None)
            yield bytes(found.bytes())


@contextmanager
def _store_errors(name: str) -> Iterator[None]:
    import obstore  # noqa: PLC0415 - most sources are local

    try:
        yield
    except obstore.exceptions.PreconditionError as error:
        raise SourceError("changed while it was fetched", where=name) from error
    except (obstore.exceptions.BaseError, ValueError, OSError) as error:
        gone = isinstance(error, FileNotFoundError)
        kind = GoneError if gone else UnreachableError
        reason = str(error).strip().split("\n")[0]
        hint = None if gone else CREDENTIALS
        raise kind(f"cannot be fetched: {reason}", where=name, hint=hint) from error


def listed(address: str) -> list[str]:
    """The addresses of the objects that a glob, or a folder ending in `/`, stands for, sorted.

    Raises UnreachableError where the store cannot be asked.
    """
    import obstore  # noqa: PLC0415 - most sources are local

    folder = re.split("[*?]", address, maxsplit=1)[0].rpartition("/")[0]
    rest = address.removeprefix(folder + "/") or "**"
    wanted = re.compile("".join(_GLOB.get(part, re.escape(part)) for part in _parts(rest)))
    with _store_errors(address):
        store = open_store(folder, time="1m")
        keys = [each["path"] for batch in obstore.list(store) for each in batch]
    return sorted(f"{folder}/{key}" for key in keys if wanted.fullmatch(key))


def _parts(pattern: str) -> list[str]:
    return [part for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern) if part]


_GLOB = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
