"""The bytes of a file as they come: hashed, unpacked, and in UTF-8.

Text in another encoding becomes UTF-8 on the way. What is wrong in it stays visible: each byte
that the encoding does not know becomes `INVALID` and an escape such as `\\xd9`. The byte
`INVALID` occurs in no UTF-8 text, so it cannot be mistaken for anything.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from backfill.core.errors import SourceError
from backfill.sources.locations import Compression, Location
from backfill.sources.unsupported_formats import LONGEST_START, refuse_begun

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["INVALID", "ByteStream", "is_utf8", "mark_invalid", "open_stream", "packed_by"]

INVALID = b"\xff"
_BOM = codecs.BOM_UTF8
_CHUNK = 1 << 20
_MARK = "backfill.mark"
_SURROGATE = re.compile(rb"\xed([\xa0-\xbf])([\x80-\xbf])")
_DAMAGED = "Only a part of it is here, or its way here has damaged it: fetch or copy it again."
_PACKED: dict[bytes, Compression] = {b"\x1f\x8b\x08": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_ENDINGS: dict[Compression, str] = {"gzip": ".gz", "zstd": ".zst"}


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that an encoding does not know to U+DC00 and more, which no text contains."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in wrong), error.end


codecs.register_error(_MARK, _mark)


def _to_utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(_escaped, text.encode("utf-8", "surrogatepass"))


def _escaped(found: re.Match[bytes]) -> bytes:
    code = 0xD000 | (found[1][0] & 63) << 6 | found[2][0] & 63
    # The halves of pairs that some encodings (UTF-7) let pass are no text either.
    shown = b"\\x%02x" % (code & 0xFF) if 0xDC00 <= code < 0xDD00 else b"\\u%04x" % code
    return INVALID + shown


def mark_invalid(data: bytes) -> bytes:
    """Replace what is not UTF-8 in `data` by `INVALID` and an escape; the rest stays."""
    return _to_utf8(data.decode("utf-8", _MARK))


class _Hashed(io.RawIOBase):
    """A file that hashes and counts what is read from it; the hash works beside the reader."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backfill-hash")
        self._behind: Future[None] | None = None
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        if self._behind is not None:
            self._behind.result()
        self._behind = self._thread.submit(self._hash.update, data)
        self.count += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def hexdigest(self) -> str:
        while self.read(_CHUNK):
            pass
        self._thread.shutdown()
        return self._hash.hexdigest()

    def close(self) -> None:
        self._thread.shutdown()
        super().close()


class ByteStream:
    """UTF-8 text of one file, without a byte order mark. `read` gives b"" at its end.

    `raw_count` is how many bytes of the file itself were read so far.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        compression: Compression | None,
        encoding: str,
        hashed: bool,
    ) -> None:
        self._name = name
        self._file = cast("IO[bytes]", file)
        self._hashed = _Hashed(file) if hashed else None
        source = cast("IO[bytes]", self._hashed or file)
        if compression is not None:
            source = io.BufferedReader(cast("io.RawIOBase", source), _CHUNK)
        match compression:
            case "gzip":
                self._bytes: IO[bytes] = cast("IO[bytes]", gzip.GzipFile(fileobj=source))
            case "zstd":
                self._bytes = cast("IO[bytes]", zstd.ZstdFile(source))
            case _:
                self._bytes = source
        self._decoder = (
            None
            if is_utf8(encoding)
            else codecs.getincrementaldecoder(codecs.lookup(encoding).name)(errors=_MARK)
        )
        self._first = True
        self._spare = b""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end. Raises SourceError for a broken file."""
        if self._decoder is None and not self._first and not self._spare:
            return self._unpacked(size)
        parts = [self._spare]
        have = len(self._spare)
        while have < size:
            data = self._unpacked(max(size - have, _CHUNK))
            text = data if self._decoder is None else _to_utf8(self._decode(data))
            if self._first and (text or not data):
                text = text.removeprefix(_BOM)
                self._first = False
            parts.append(text)
            have += len(text)
            if not data:
                break
        whole = b"".join(parts)
        self._spare = whole[size:]
        return whole[:size] if self._spare else whole

    def skip(self, size: int) -> int:
        """Read `size` bytes and forget them. Returns how many there were."""
        left = size
        while left and (read := len(self.read(min(left, _CHUNK)))):
            left -= read
        return size - left

    def pass_over(self, size: int) -> None:
        """Go on `size` bytes of text later: at once where the file holds the text as it is.

        Elsewhere, packed or in another encoding, what lies between is read and forgotten.
        """
        if not self.seekable:
            self.skip(size)
            return
        start = self.read(min(size, 1))  # whatever goes before the text, such as its mark
        ahead = size - len(start)
        self._file.seek(max(0, ahead - len(self._spare)), io.SEEK_CUR)
        self._spare = self._spare[ahead:]

    @property
    def seekable(self) -> bool:
        """Whether the bytes of the file are the bytes of the text."""
        return self._decoder is None and self._bytes is self._file

    def _decode(self, data: bytes) -> str:
        assert self._decoder is not None  # noqa: S101 - the caller looked
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeError as error:
            raise SourceError(f"is not in the named encoding: {error}", where=self._name) from error

    def _unpacked(self, size: int) -> bytes:
        try:
            return self._bytes.read(size)
        except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
            # What the system says of a disk has a number; else the bytes are not what was packed.
            damaged = not (isinstance(error, OSError) and error.errno)
            raise SourceError(
                f"cannot be read: {error}",
                where=self._name,
                hint=_DAMAGED if damaged else None,
            ) from error

    @property
    def raw_count(self) -> int:
        return self._hashed.count if self._hashed is not None else 0

    def sha256(self) -> str:
        """The hash of the file's own bytes; reads what is left of them."""
        assert self._hashed is not None  # noqa: S101 - only hashed streams are asked
        return self._hashed.hexdigest()

    def close(self) -> None:
        if self._hashed is not None:
            self._hashed.close()


@contextmanager
def open_stream(
    path: str | Path, location: Location, *, encoding: str = "utf-8", hashed: bool = False
) -> Iterator[ByteStream]:
    """Open a text file of a source, whose bytes lie at `path`.

    Raises SourceError where it is empty or plainly something else.
    """
    name, compression = location.name, location.compression
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed by the `with` below
    except OSError as error:
        raise SourceError(f"cannot be opened: {error.strerror}", where=name) from error
    with file:
        start = file.read(LONGEST_START)
        if not start:
            raise SourceError("the file is empty", where=name)
        _refuse_other_formats(start, name, compression, encoding)
        file.seek(0)
        with closing(ByteStream(file, name, compression, encoding, hashed)) as stream:
            yield stream


def is_utf8(encoding: str) -> bool:
    """Whether text in this encoding is taken as it stands."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def packed_by(start: bytes) -> Compression | None:
    """What the bytes that begin so are packed by, of what is unpacked here."""
    return next((each for magic, each in _PACKED.items() if start.startswith(magic)), None)


def _refuse_other_formats(
    start: bytes, name: str, compression: Compression | None, encoding: str
) -> None:
    packed = packed_by(start)
    if packed is not None and packed == compression:
        return
    refuse_begun(name, start)
    plain = Path(name).name
    if compression is not None:
        plain = plain[: plain.rfind(".")]
    if packed is not None:
        raise SourceError(
            f"is packed by {packed}, and its ending says otherwise",
            where=name,
            hint=f"Name it {plain + _ENDINGS[packed]!r}.",
        )
    if compression is not None:
        raise SourceError(
            f"is not {compression}, as its ending says",
            where=name,
            hint=f"If it is not packed at all, name it {plain!r}; else copy it again.",
        )
    if start.startswith(b"PAR1\x15"):
        raise SourceError(
            "is Parquet, and no text",
            where=name,
            hint='Name it with the ending .parquet, or set `format = "parquet"`.',
        )
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and is_utf8(encoding):
        raise SourceError(
            "is in UTF-16", where=name, hint='Set `encoding = "utf-16"` in its section.'
        )
