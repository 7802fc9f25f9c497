"""Pages and drawings from templates in which no text can become markup.

Cells of a source and words of a server end up here. Every expression of a template passes
`printable` and is escaped; markup comes from the templates of this package alone.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from backfill.core.terminal import duration
from backfill.report import wording

__all__ = ["printable", "render", "source", "without_secrets"]

# Besides controls: what turns the direction of all that follows, and what no document may hold.
_HIDDEN = frozenset({"Cc", "Cs", "Cn", "Co"})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_USERINFO = re.compile(r"(?<=://)[^/\s\"']+(?=@)")
_QUERY = re.compile(r"(://[^\s\"'?#]*)[?#][^\s\"']*")


def render(template: str, **values: Any) -> Markup:
    """A template of this package filled in. A name that it does not know is an error."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - autoescaped


def source(template: str) -> Markup:
    """A file beside the templates as it stands."""
    environment = _environment()
    loader = environment.loader
    assert loader is not None  # noqa: S101 - it is given below
    return Markup(loader.get_source(environment, template)[0])  # noqa: S704 - our own file


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


def _shown(value: object) -> object:
    if isinstance(value, Markup):
        return value
    return "" if value is None else printable(str(value))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("backfill.report"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = {name: getattr(wording, name) for name in wording.__all__ if name != "COLOURS"}
    environment.filters.update(
        words, printable=printable, duration=duration, without_secrets=without_secrets
    )
    environment.globals["COLOURS"] = wording.COLOURS
    return environment
