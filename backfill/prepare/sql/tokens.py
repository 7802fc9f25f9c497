"""The words of an SQL expression, looked at before Polars parses it.

Polars opens a table function's file while it parses, and its message shows what stands there. So
whatever can name a table is found here first, in the text without its literals, quoted names and
comments. Where this reading could differ from the parser's (other kinds of quotes, comments in
comments) the expression is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["foreign_words", "in_quotes", "outside_quotes"]

_ASIDE = re.compile(
    r"""
    '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`          # texts and quoted names
    | --[^\r\n]*(?=\r?\n|\Z) | /\*(?:(?!/\*|\*/).)*\*/  # comments
    """,
    re.VERBOSE | re.DOTALL,
)
_STRAY = re.compile(r"['\"`$\\]|--|/\*|\*/")
_PREFIX = re.compile(r"(?:\b(?:[benqrx]|nq|br|rb)|&)\Z", re.IGNORECASE)  # as in E'\n', U&'\0041'
_WORD = re.compile(r"[^\W\d]\w*|\S")

_TABLES = frozenset({"select", "values", "table", "exists"})
_WITH_FROM = frozenset({"extract", "trim", "substring", "substr", "overlay"})
_READER = re.compile("^(?:read|scan)_")


def outside_quotes(text: str) -> str:
    """The text with `?` for what is quoted, and without comments."""
    return _ASIDE.sub(lambda found: " ? " if found[0][0] in "'\"`" else " ", text)


def in_quotes(text: str, names: Iterable[str]) -> str:
    """The text with these words, where they name columns, in double quotes."""
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    bare = re.compile(rf"(?<![\w.])(?:{words})(?!\w|\s*\()")
    parts, end = [], 0
    for found in _ASIDE.finditer(text):
        parts += [bare.sub(r'"\g<0>"', text[end : found.start()]), found[0]]
        end = found.end()
    return "".join([*parts, bare.sub(r'"\g<0>"', text[end:])])


def foreign_words(text: str) -> str | None:
    """What of the expression may not reach the parser, in words for the user; None for nothing."""
    for found in _ASIDE.finditer(text):
        if found[0].startswith("'") and _PREFIX.search(text, 0, found.start()):
            return "writes a text in another way than '…'"
    plain = outside_quotes(text)
    if stray := _STRAY.search(plain):
        return f"contains {stray[0]} where no text, name or comment is"
    return _table_in(_WORD.findall(plain.lower()))


def _table_in(words: list[str]) -> str | None:
    """The first word that begins a subquery or calls a table function."""
    calls = [""]  # what the parentheses belong to that are open
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word == "(":
            calls.append(before)
        elif word == ")":
            calls = calls[:-1] or [""]
        elif word in _TABLES or (word == "with" and after != "time"):
            return f"contains {word.upper()}"
        elif word == "from" and before == "distinct":
            continue  # IS DISTINCT FROM compares; a SELECT before it is found by itself
        elif word == "from" and (calls[-1] not in _WITH_FROM or before == "("):
            return "contains FROM"
        elif _READER.match(word) and after == "(":
            return f"contains {word}()"
    return None
