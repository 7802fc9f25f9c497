"""HTML that cannot be broken out of: text is escaped unless it was made here.

Cells of a source and words of a server end up on the page. Every piece of text becomes markup
by `tag`, which escapes it, so there is no place where one could forget to.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["Html", "join", "printable", "tag", "without_secrets"]

_VOID = frozenset({"meta", "br", "hr", "link", "rect", "col"})
# Besides controls: what turns the direction of all that follows, and what no document may hold.
_HIDDEN = frozenset({"Cc", "Cs", "Cn", "Co"})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_USERINFO = re.compile(r"(?<=://)[^/\s\"']+(?=@)")
_QUERY = re.compile(r"(://[^\s\"'?#]*)[?#][^\s\"']*")


class Html(str):
    """Markup. Only `tag`, `join` and constants of this package make any."""

    __slots__ = ()


Child = str | int | None | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """One element. Text among the children is escaped, None is left out, iterables are joined.

    An attribute's underscores become hyphens, a trailing one is dropped (`class_`); None and
    False leave it out.
    """
    shown = "".join(
        f' {_name(key)}="{html.escape(printable(_name(key) if value is True else str(value)))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{shown}/>")
    return Html(f"<{name}{shown}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Markup after markup; what is not markup yet is escaped."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str | int):
            parts.append(html.escape(printable(str(child))))
        else:
            parts.append(join(child))
    return Html("".join(parts))


def printable(text: str, limit: int | None = None) -> str:
    """Text with what cannot be seen made visible, cut to `limit` characters.

    Control characters, lone surrogates and characters that turn the reading direction could
    hide what stands there, or are not allowed in a document at all.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each
        if each == "\n" or (unicodedata.category(each) not in _HIDDEN and each not in _TURNING)
        else f"⟨{ord(each):04X}⟩"
        for each in text
    )


def without_secrets(text: str) -> str:
    """A name or an address without its user, password and query, where a signature may stand."""
    return _QUERY.sub(r"\1?***", _USERINFO.sub("***", text))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
