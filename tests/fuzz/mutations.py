"""Ways to spoil bytes and texts, each decided by a seeded source of chance."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["spoilt_bytes", "spoilt_toml"]

_NASTY = (
    b"",
    b"\x00",
    b"\n",
    b"\r",
    b"\r\n",
    b'"',
    b'""',
    b",",
    b";",
    b"\t",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"{",
    b"}",
    b"[",
    b"null",
    b"NaN",
    b"1e999",
    b"-0",
    b"\\ud800",
    b"\\u0000",
    b"\x1b[31m",
    b"9" * 40,
    b"A" * 300,
    b"__row",
    b"_raw",
)

_VALUES = (
    '""',
    '"?"',
    '"\\u0000"',
    '"../../x"',
    '"*"',
    '"."',
    "0",
    "-1",
    "1e400",
    "nan",
    "true",
    "[]",
    "{}",
    "[[]]",
    "1979-05-27T07:32:00Z",
    "99999999999999999999999999",
    '{ sql = "1" }',
    '{ sql = "a || b" }',
    '{ value = "" }',
    "{ value = 1979-05-27 }",
    '{ column = "event", values = { a = 1 }, otherwise = "omit" }',
    '["contact.id"]',
    '"http://[::1"',
    '"s3://"',
    '"100%"',
    '"1/s"',
    '"99999999999999999999d"',
)


def spoilt_bytes(chance: random.Random, data: bytes, *, most: int = 12) -> bytes:
    """Change, add, drop, repeat or cut some bytes, up to `most` times."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, most))):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(7):
            case 0 if changed:
                changed[at % len(changed)] = chance.randrange(256)
            case 1 if changed:
                changed[at % len(changed)] ^= 1 << chance.randrange(8)
            case 2:
                changed[at:at] = chance.choice(_NASTY)
            case 3:
                del changed[at : at + chance.randrange(1, 40)]
            case 4:
                piece = changed[at : at + chance.randrange(1, 200)]
                to = chance.randrange(len(changed) + 1)
                changed[to:to] = piece
            case 5 if chance.random() < 0.2:
                del changed[at:]
            case _:
                changed[at : at + 4] = bytes(chance.randrange(256) for _ in range(4))
    return bytes(changed)


def spoilt_toml(chance: random.Random, text: str, others: Sequence[str]) -> str:
    """Change lines of a configuration: values, keys, order, sections; or spoil its bytes.

    `others` are configurations from which lines may be taken.
    """
    if chance.random() < 0.15:
        return spoilt_bytes(chance, text.encode()).decode("utf-8", "replace")
    lines = text.splitlines()
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(lines))
        key, equals, value = lines[at].partition("=")
        match chance.randrange(7):
            case 0 | 1 if equals:
                lines[at] = f"{key}= {chance.choice(_VALUES)}"
            case 2 if equals:
                lines[at] = f"{_renamed(chance, key)}={value}"
            case 3:
                del lines[at]
                lines = lines or [""]
            case 4:
                lines.insert(at, chance.choice(chance.choice(others).splitlines() or [""]))
            case 5:
                to = chance.randrange(len(lines))
                lines[at], lines[to] = lines[to], lines[at]
            case _ if equals:
                text = spoilt_bytes(chance, value.encode(), most=3).decode("utf-8", "replace")
                lines[at] = f"{key}={text}"
    return "\n".join(lines) + "\n"


def _renamed(chance: random.Random, key: str) -> str:
    at = chance.randrange(len(key) + 1)
    return key[:at] + chance.choice(("", "x", "_", "é", ".", '"')) + key[at + 1 :]
