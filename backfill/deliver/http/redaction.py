"""A server's words without our credential: some servers quote what they refuse.

Whatever a reply says may end in the ledger, the records, the report or on a terminal, so the
credential is taken out before anything reads the reply.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence

from backfill.core.model import Reply
from backfill.core.secret import Secret

__all__ = ["Redaction"]

_SHORTEST = 8  # characters: what is shorter may be a part of any word
_HIDDEN = b"***"
_LAYERS = 4  # escapes that are undone: JSON in JSON in JSON in a URL
_BEGIN_ESCAPES = b"\\%&"
_MAY_HIDE = _BEGIN_ESCAPES + b"\x00"

# One character in the escapes of JSON, URLs and HTML. All are undone alike, wherever they stand.
_ESCAPE = re.compile(
    rb'\\(?:u00|x)(?P<json>[0-9a-f]{2})|\\(?P<quoted>["/\\])|%(?P<url>[0-9a-f]{2})'
    rb"|&(?P<html>(?:#0{0,6}[0-9]{1,3}|#x0{0,6}[0-9a-f]{1,2});?|[a-z]{2,8};)",
    re.IGNORECASE,
)


class Redaction:
    """Hides one credential in replies, in any case and in the ways that servers write: plain, in
    escapes of JSON, URLs, HTML and Python or several of them, in Base64, in hexadecimal, and with
    zeros between its characters, as where a piece of UTF-16 stands in another text.

    A body is expected in UTF-8 where all of it is a text of another encoding, so that what is
    hidden leaves it readable.
    """

    def __init__(self, credential: Secret) -> None:
        text = self._plain = credential.reveal()
        self._texts: tuple[bytes, ...] = ()
        if len(text) >= _SHORTEST:
            data = text.encode("ascii")
            hexadecimal = data.hex().encode("ascii")
            self._texts = tuple(each.lower() for each in (data, hexadecimal, *_in_base64(data)))
        # In a text without capitals: the credential, or what may stand for a part of it.
        suspicious = (*self._texts, *(bytes((byte,)) for byte in _MAY_HIDE))
        self._suspicious = re.compile(b"|".join(re.escape(each) for each in suspicious))

    def redact(self, reply: Reply) -> Reply:
        """The same reply without the credential; the very same object where it holds none."""
        if not self._texts:
            return reply
        texts = "\n".join(reply.headers.values()).encode("latin-1")
        if not self._is_in(b"%b\n%b" % (reply.body, texts)):
            return reply
        headers = {
            name: self._redact(text.encode("latin-1")).decode("latin-1")
            for name, text in reply.headers.items()
        }
        clean = Reply(reply.status, headers, self._redact(reply.body))
        return reply if clean == reply else clean

    def hide(self, words: str) -> str:
        """Words of our own program without the credential, a short one where it stands plainly."""
        plain = words.replace(self._plain, _HIDDEN.decode()) if self._plain else words
        return self._redact(plain.encode(errors="backslashreplace")).decode(errors="replace")

    def _is_in(self, text: bytes) -> bool:
        """Whether the credential is somewhere in it. Nearly every reply is clean, and many have
        escapes that stand for something else: this sees it soon.
        """
        if self._suspicious.search(text.lower()) is None:
            return False
        text = text.replace(b"\x00", b"")
        for _ in range(_LAYERS + 1):
            lowered = text.lower()
            for wanted in self._texts:
                if wanted in lowered:
                    return True
            if len(text.translate(None, _BEGIN_ESCAPES)) == len(text):
                return False
            unescaped = _ESCAPE.sub(_plain, text)
            if unescaped == text:
                return False
            text = unescaped
        return False

    def _redact(self, data: bytes) -> bytes:
        clean = bytearray()
        done = 0
        for start, stop in sorted(self._find(data)):
            if start >= done:
                clean += data[done:start] + _HIDDEN
            done = max(done, stop)
        return bytes(clean + data[done:])

    def _find(self, data: bytes) -> Iterable[tuple[int, int]]:
        """Where the credential stands: offsets of first bytes, and of those after the last."""
        text = data.replace(b"\x00", b"")
        # For each byte of `text`, where it stands in `data`; and where `data` ends.
        places: Sequence[int] = [at for at, byte in enumerate(data) if byte] + [len(data)]
        for _ in range(_LAYERS + 1):
            lowered = text.lower()
            for wanted in self._texts:
                start = lowered.find(wanted)
                while start >= 0:
                    yield places[start], places[start + len(wanted)]
                    start = lowered.find(wanted, start + len(wanted))
            unescaped, places = _unescape(text, places)
            if unescaped == text:
                break
            text = unescaped


def _unescape(text: bytes, places: Sequence[int]) -> tuple[bytes, list[int]]:
    """Undo one layer of escapes, and keep along where each byte comes from."""
    plain, kept = bytearray(), list[int]()
    done = 0
    for escape in _ESCAPE.finditer(text):
        byte = _unescaped(escape)
        if byte is None:
            continue
        plain += text[done : escape.start()]
        kept += places[done : escape.start()]
        plain.append(byte)
        kept.append(places[escape.start()])
        done = escape.end()
    return bytes(plain + text[done:]), [*kept, *places[done:]]


def _plain(escape: re.Match[bytes]) -> bytes:
    """What an escape stands for, and itself where that is nothing of a credential."""
    byte = _unescaped(escape)
    return escape[0] if byte is None else bytes((byte,))


def _unescaped(escape: re.Match[bytes]) -> int | None:
    """The character that stands behind an escape; None for those of no credential."""
    if escape["quoted"]:
        return escape["quoted"][0]
    if escape["html"]:
        character = html.unescape(escape[0].decode("ascii"))
        return ord(character) if len(character) == 1 and character.isascii() else None
    return int(escape["json"] or escape["url"], 16)


def _in_base64(data: bytes) -> list[bytes]:
    """What Base64 makes of `data` wherever it begins in what is encoded; both alphabets."""
    found = []
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data)
        # Characters at either end also hold bits of what stands beside the text.
        part = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        found += [part, part.translate(_URL_SAFE)]
    return list(dict.fromkeys(found))


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
