"""The pages and the blocks of code in them, with the marks that stand below."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "blocks_of", "code_of", "name_of"]

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "sample_data" / "README.md"]
)

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$"
    r"(?:\n+(?P=indent)<!-- (?P<mark>[^>]+?) -->$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code: `mark` is what the comment below says of it, "" without one."""

    place: str
    language: str
    text: str
    mark: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(
            place=f"{name_of(page)}:{line}",
            language=found["language"],
            text=textwrap.dedent(found["text"]),
            mark=found["mark"] or "",
        )


def code_of(page: Path) -> Iterator[str]:
    """Everything on a page that is written as code: blocks line by line, and words in a line."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield from found["text"].splitlines()
    for found in re.finditer(r"`([^`\n]+)`", _BLOCK.sub("", text)):
        yield found[1]
