"""Pages and drawings from templates in which no text can become markup.

Cells of a source and words of a server end up here. Every expression of a template passes
`printable` and is escaped; markup comes from the templates of this package alone.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from backfill.core.terminal import duration, moment
from backfill.report import wording

__all__ = ["printable", "render", "without_secrets"]

_USERINFO = re.compile(r"(?<=://)[^/\s\"']+(?=@)")
_QUERY = re.compile(r"(://[^\s\"'?#]*)[?#][^\s\"']*")


def render(template: str, **values: Any) -> Markup:
    """A template of this package filled in. A name that it does not know is an error."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - autoescaped


def printable(text: str, limit: int | None = None) -> str:
    """Text with what cannot be seen made visible, cut to `limit` characters.

    Control characters, lone surrogates and characters that turn the reading direction could
    hide what stands there, or are not allowed in a document at all.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(
        each if each.isprintable() or each == "\n" else f"⟨{ord(each):04X}⟩" for each in text
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
    filters = (printable, without_secrets, duration, moment)
    environment.filters.update({each.__name__: each for each in filters})
    environment.filters.update(
        {name: getattr(wording, name) for name in wording.__all__ if name != "COLOURS"}
    )
    environment.globals["COLOURS"] = wording.COLOURS
    return environment
