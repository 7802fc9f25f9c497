"""The length of a server's window is guessed among those that are usual."""

from __future__ import annotations

import pytest

from backfill.deliver.pacing.usual_windows import soonest_end, usual_window


@pytest.mark.parametrize(
    ("least", "most", "seconds"),
    [(9.2, 10.3, 10.0), (9.2, 61.0, 10.0), (30.5, 60.0, 60.0), (31.0, 47.0, 47.0)],
)
def test_the_shortest_usual_one_that_fits_is_taken_else_the_longest_possible(
    least: float, most: float, seconds: float
) -> None:
    assert usual_window(least, most) == seconds


def test_a_wait_ends_with_a_usual_window_and_never_after_the_guess() -> None:
    assert soonest_end(100.0, 107.0, 8.0) == pytest.approx(3.05)
    assert soonest_end(100.0, 107.0, 2.0) == 2.0
