"""What the sections of the page are made of."""

from __future__ import annotations

from collections.abc import Sequence

from backfill.report.markup import Html, tag
from backfill.report.pictures import Picture

__all__ = ["alternative", "figure", "scrolled", "section"]


def section(name: str, title: str, *parts: Html | None) -> Html:
    """A landmark with a heading, that can be linked to by its name."""
    return tag(
        "section",
        tag("h2", title, id=f"{name}-title"),
        parts,
        id=name,
        aria_labelledby=f"{name}-title",
    )


def figure(picture: Picture | None, message: str, caption: str | Sequence[str]) -> Html | None:
    """A picture whose name, to a screen reader, is its title and what it shows in words."""
    if picture is None:
        return None
    return tag(
        "figure",
        tag(
            "div",
            tag("div", picture.desk, class_="desk"),
            tag("div", picture.phone, class_="phone"),
            role="img",
            aria_label=f"{picture.title}. {message}",
        ),
        tag("figcaption", caption),
    )


def alternative(content: Html, title: str) -> Html:
    """The table that says what a picture shows, folded up."""
    return tag("details", tag("summary", "The figures as a table"), scrolled(content, title))


def scrolled(content: Html, title: str) -> Html:
    """Something wide, which a keyboard can scroll as well."""
    return tag("div", content, class_="scroll", role="region", tabindex="0", aria_label=title)
