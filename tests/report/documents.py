"""Reading a page as a strict parser does."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.etree.ElementTree import Element


def parse(text: str) -> Element:
    """The page's root. Raises where it is not well-formed to the letter."""
    content = text.removeprefix("<!DOCTYPE html>").encode()
    return ElementTree.fromstring(content)  # noqa: S314 - made by the program under test


def message(element: Element) -> str:
    """The text inside, each piece apart from the next by one space."""
    return " ".join(" ".join(element.itertext()).split())
