"""A short, seeded part of the crash campaign; the long one is `python -m tests.chaos`."""

from __future__ import annotations

import pytest

from tests.chaos.rounds import Figures, play


@pytest.mark.parametrize("seed", [2, 3])
def test_the_books_hold_whatever_breaks_around_a_job(tmp_path, seed):
    figures = Figures()
    words = play(tmp_path, seed, figures, mishaps=2, small=True)
    assert figures.rounds == 1, words
    assert figures.looks >= 3
    assert figures.records["delivered"] > 0
