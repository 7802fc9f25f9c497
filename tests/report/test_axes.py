"""Labels beside a chart: round, in order, and never closer than there is room."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.report.axes import Label, clock_times, quantities, spaced, written
from backfill.report.timeline_bins import timeline_of
from tests.report.jobs import ticks


@given(st.floats(0.001, 1e12))
def test_quantities_are_a_few_round_numbers_from_nothing_to_the_most(most: float) -> None:
    labels = quantities(most)
    assert 3 <= len(labels) <= 7
    assert labels[0] == Label(1, ("0",))
    assert all(0 <= label.at <= 1 for label in labels)
    assert labels[-1].at <= 0.5
    assert all(len(label.lines[0]) <= 6 for label in labels)


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (580, ["0", "100", "200", "300", "400", "500"]),
        (1_020_000, ["0", "200k", "400k", "600k", "800k", "1M"]),
    ],
)
def test_quantities_are_written_shortly(most: float, shown: list[str]) -> None:
    assert [label.lines[0] for label in quantities(most)] == shown


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.integers(0, 10**8))
@settings(max_examples=40, deadline=None)
def test_times_have_room_beside_each_other_on_a_desk_and_on_a_phone(
    lengths: list[int], start: int
) -> None:
    past = []
    for length in lengths:
        past += ticks(length, start=10 * start)
        start += 3 * length
    labels = clock_times(timeline_of(past))
    assert labels[0].at == 0
    assert not labels[0].spare
    for shown, apart in ((labels, 0.1), ([each for each in labels if not each.spare], 0.3)):
        assert all(other.at - one.at > apart for one, other in pairwise(shown))
    assert all(len(label.lines) == 2 for label in labels if not label.spare)


def test_a_day_is_written_where_it_is_a_new_one() -> None:
    moments = [datetime(2025, 3, day, hour, tzinfo=UTC) for day in (1, 2) for hour in (0, 6, 12)]
    labels = spaced(Label(each / 8, written(at)) for each, at in enumerate(moments))
    assert [label.lines for label in labels] == [
        ("00:00", "01 Mar"),
        ("06:00",),
        ("12:00",),
        ("00:00", "02 Mar"),
        ("06:00",),
        ("12:00",),
    ]
    assert [label.spare for label in labels] == [False, True, True, False, True, True]
