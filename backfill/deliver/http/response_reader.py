"""A response of any httpx transport becomes a plain reply: bounded, unpacked, its text in UTF-8."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import AsyncGenerator, Sequence
from functools import lru_cache
from typing import NamedTuple

import httpx

from backfill.core.model import Reply
from backfill.destination.verdicts import MOST_BODY

__all__ = ["MOST_BODY", "RawReply", "plain_reply", "read_reply"]

# What zlib calls them; "deflate" comes with zlib's header and, wrongly, without it.
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_WINDOWS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW)}

# How a text in UTF-16 or UTF-32 begins, the longer marks first: with a byte-order mark, or with a
# character of ASCII and the zeros around it.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ANY_MARK = tuple(mark for mark, _ in _MARKS)
_ZEROS: dict[tuple[bool, ...], str] = {
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False, True, False): "utf-16-be",
    (False, True, False, True): "utf-16-le",
}


class RawReply(NamedTuple):
    """A reply as it came: its status, headers in order, and the body, bounded."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


async def read_reply(response: httpx.Response) -> Reply:
    """Read a response as plain data, its body bounded also when unpacked.

    A body that breaks off leaves a status of 300 and above standing, because the status alone
    decides then; below that the error is raised, because the body would have decided.
    """
    stream = response.stream
    body = b"".join(stream) if isinstance(stream, httpx.ByteStream) else await _read(response)
    # `raw`, because httpx works out a text encoding anew for every reading of a header.
    return plain_reply(RawReply(response.status_code, response.headers.raw, body))


def plain_reply(raw: RawReply) -> Reply:
    """The same reply with one text for each header, the body unpacked and in UTF-8."""
    headers = {_lower(name): text.decode("latin-1") for name, text in raw.headers}
    if len(headers) < len(raw.headers):
        headers = _joined(raw.headers)
    encoding = headers.get("content-encoding")
    body = _unpacked(raw.body, encoding) if encoding else raw.body[:MOST_BODY]
    return Reply(raw.status, headers, _in_utf_8(body))


@lru_cache(maxsize=1024)
def _lower(name: bytes) -> str:
    """A header's name; a server has few of them, and sends them with every reply."""
    return name.lower().decode("latin-1")


def _joined(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """A header that comes twice is one list (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_text in raw:
        name, text = _lower(raw_name), raw_text.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


async def _read(response: httpx.Response) -> bytes:
    body = b""
    chunks = aiter(response.stream)  # type: ignore[arg-type] # an async transport's
    try:
        async for chunk in chunks:
            body += chunk
            if len(body) >= MOST_BODY:
                break
    except httpx.TransportError:
        if response.status_code < 300:
            raise
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
        await response.aclose()
    return body


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Undo a Content-Encoding that we did not ask for; what cannot be undone stays as it is."""
    windows = _WINDOWS.get(encoding.strip().lower(), ())
    for window in windows:
        try:
            return zlib.decompressobj(window).decompress(body, MOST_BODY)
        except zlib.error:
            continue
    return body[:MOST_BODY]


def _in_utf_8(body: bytes) -> bytes:
    """The same text in UTF-8; what is no text in UTF-16 or UTF-32 stays as it is.

    One who reads a reply then needs one encoding only, and redaction sees what they will see.
    """
    if body.isascii() and b"\x00" not in body[:4]:  # nearly always
        return body
    if body.startswith(_ANY_MARK):
        encoding = next(name for mark, name in _MARKS if body.startswith(mark))
    elif (found := _ZEROS.get(tuple(byte == 0 for byte in body[:4]))) is not None:
        encoding = found
    else:
        return body
    decoder = codecs.getincrementaldecoder(encoding)()  # takes a text that was cut
    try:
        return decoder.decode(body).encode("utf-8")
    except UnicodeError:
        return body
