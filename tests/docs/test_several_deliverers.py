"""The walk through several deliverers works as its page tells it, with a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.docs.pages import ROOT, blocks_of
from tests.docs.session import Session

_PAGE = ROOT / "docs" / "recipes" / "several-deliverers.md"
_NAMED = "postgresql://backfill@db.example.com/backfill"


@pytest.mark.timeout(240)  # two deliverers and their commands; a busy machine may take its time
def test_the_walk_works_with_a_database_of_ours(tmp_path, postgres) -> None:
    told = [block for block in blocks_of(_PAGE) if block.mark]
    assert any(_NAMED in block.text for block in told)
    with Session(tmp_path, events=3_000) as session:
        for block in told:
            session.follow(replace(block, text=block.text.replace(_NAMED, postgres.address)))
