"""Text as a string of TOML: any name survives, and none can break out of its line."""

from __future__ import annotations

__all__ = ["quoted", "sql_text"]

_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def quoted(text: str) -> str:
    """A basic string (TOML 1.0, "String"), good as a value and as a key.

    What no terminal or editor shows as a character of its own (controls, marks that turn the
    direction of writing) is written as an escape, so that it can be seen.
    """
    return '"' + "".join(_escaped(each) for each in text) + '"'


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04X}" if ord(char) < 0x10000 else f"\\U{ord(char):08X}"


def sql_text(sql: str) -> str:
    """SQL as a string without escapes, where it can stand in one.

    It may end in one or two apostrophes of its own (TOML 1.0, "String": a literal string of several
    lines allows them before its closing three).
    """
    literal = sql.isprintable() and "'''" not in sql
    return f"'''{sql}'''" if literal else quoted(sql)
