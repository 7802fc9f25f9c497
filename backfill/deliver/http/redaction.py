"""A server's words without our credential: some servers quote what they refuse.

Whatever a reply says may end in the ledger, the records, the report or on a terminal, so the
credential is taken out before anything reads the reply.
"""

from __future__ import annotations

import re

from backfill.core.model import Reply, Secret

__all__ = ["Redaction"]

_SHORTEST = 8  # characters: what is shorter may be a part of any word
_HIDDEN = b"***"


class Redaction:
    """Hides one credential in replies, in any case and in the escapes of JSON, URLs and HTML."""

    def __init__(self, credential: Secret) -> None:
        text = credential.reveal()
        self._pattern = (
            re.compile(b"".join(map(_written, text)), re.IGNORECASE)
            if len(text) >= _SHORTEST
            else None
        )

    def redact(self, reply: Reply) -> Reply:
        """The same reply without the credential; the very same object where it holds none."""
        pattern = self._pattern
        if pattern is None:
            return reply
        heads = {name: text.encode("latin-1") for name, text in reply.headers.items()}
        if not pattern.search(reply.body) and not any(map(pattern.search, heads.values())):
            return reply
        return Reply(
            reply.status,
            {name: pattern.sub(_HIDDEN, text).decode("latin-1") for name, text in heads.items()},
            pattern.sub(_HIDDEN, reply.body),
        )


def _written(character: str) -> bytes:
    """A pattern for the ways in which a character may be written."""
    plain, code = re.escape(character), ord(character)
    ways = (
        plain,
        rf"\\{plain}" if character in '"/\\' else "",
        rf"\\u{code:04x}",
        f"%{code:02x}",
        f"&#0*{code};",
        f"&#x0*{code:x};",
    )
    return f"(?:{'|'.join(filter(None, ways))})".encode("ascii")
