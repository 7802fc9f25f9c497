"""A short, seeded part of the crash campaign; the long one is `python -m tests.chaos`."""

from __future__ import annotations

from tests.chaos.rounds import Figures, play


def test_the_books_hold_whatever_breaks_around_a_job(tmp_path):
    figures = Figures()
    words = play(tmp_path, 2, figures, mishaps=2, small=True)
    assert figures.rounds == 1, words
    assert figures.looks >= 3
    assert figures.records["delivered"] > 0
