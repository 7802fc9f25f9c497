"""Where a credential could have been left behind, also inside compressed and binary files."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import polars as pl

__all__ = ["assert_no_trace"]


def _texts(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        for name, dtype in frame.schema.items():
            if not dtype.is_nested() and dtype != pl.Duration:  # a length of time is no text
                yield "\n".join(frame[name].cast(pl.String).drop_nulls()).encode()
    if data.startswith(b"SQLite format 3"):
        connection = sqlite3.connect(path)
        try:
            with suppress(sqlite3.DatabaseError):  # of a damaged one, its bytes are all there is
                yield "\n".join(connection.iterdump()).encode()
        finally:
            connection.close()


def _without_gaps(text: bytes) -> bytes:
    """Without what UTF-16 leaves between characters when it is read as something else."""
    return text.replace(b"\x00", b"").replace("\N{REPLACEMENT CHARACTER}".encode(), b"")


def assert_no_trace(secret: str, place: Path, *outputs: str) -> int:
    """No file below `place` and no output holds the secret. Returns how many were looked into."""
    forms = {
        secret.encode(),
        secret.lower().encode(),
        secret.upper().encode(),
        secret.encode()[: len(secret) // 2],
        base64.b64encode(secret.encode()).rstrip(b"=")[:-2],
        quote(secret, safe="").encode(),
        secret.encode("utf-16-le"),
    }
    looked = 0
    for path in place.rglob("*"):
        if path.is_file():
            for text in _texts(path):
                looked += 1
                for form in forms:
                    assert form not in text, f"{form!r} is in {path}"
                    assert form not in _without_gaps(text), f"{form!r} is in {path}, with gaps"
    for output in outputs:
        looked += 1
        for form in forms:
            printed = output.encode()
            for text in (printed, _without_gaps(printed)):
                assert form not in text, f"{form!r} is in what was printed:\n{output}"
    return looked
