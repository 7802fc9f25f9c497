"""What a page tells its reader to type works, in that order, and shows what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, Block, blocks_of, name_of
from tests.docs.session import Session

_KINDS = ("run", "file", "output")


def _told(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.mark.partition(":")[0] in _KINDS]


_TOLD = [
    page
    for page in PAGES
    if any(b.mark.startswith("run") for b in _told(page))
    and page.stem != "several-deliverers"  # which needs a database, and has a test of its own
]


def test_the_tutorial_is_among_them():
    assert "docs/tutorial.md" in map(name_of, _TOLD)


@pytest.mark.timeout(240)  # the tutorial takes some 20 s; a busy machine may take its time
@pytest.mark.parametrize("page", _TOLD, ids=name_of)
def test_the_examples_of_a_page_work(page, tmp_path):
    counts = any("20,000" in block.text for block in _told(page))
    with Session(tmp_path, events=None if counts else 3_000) as session:
        for block in _told(page):
            session.follow(block)
