"""Slices of time: nothing gets lost when they are summed up, and pauses are cut out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Tick
from backfill.report.timeline_bins import Timeline, percentile, timeline_of
from tests.report.jobs import NOW, ticks

SLICES = st.lists(
    st.tuples(
        st.integers(0, 3_000_000),
        st.integers(0, 500),
        st.integers(0, 9),
        st.dictionaries(st.integers(0, 30), st.integers(1, 50), max_size=3),
    ),
    max_size=60,
    unique_by=lambda each: each[0],
)


@given(SLICES, st.sampled_from([40, 60, 300]))
@settings(max_examples=150, deadline=None)
def test_every_count_and_every_reply_is_in_exactly_one_bin(
    slices: list[tuple[int, int, int, dict[int, int]]], most: int
) -> None:
    past = [
        Tick(NOW + 10 * at, sent, few, few, sent, few, 1, latency)
        for at, sent, few, latency in slices
    ]
    timeline = timeline_of(past, most)
    assert len(timeline.bins) <= most
    for name in ("sent", "throttled", "retried", "delivered", "failed", "unknown"):
        assert getattr(timeline.total, name) == sum(getattr(tick, name) for tick in past)
    latency: Counter[int] = Counter()
    for tick in past:
        latency.update(tick.latency)
    assert timeline.total.latency == latency
    for each in timeline.bins:
        assert 0 < each.seconds <= timeline.width
    for before, after in pairwise(timeline.bins):
        assert before.stop <= after.total.at
        assert after.first is (after.total.at - before.stop > 0)


def test_a_job_without_a_past_has_an_empty_timeline() -> None:
    assert timeline_of([]) == Timeline()
    assert Timeline().brief


def test_a_short_run_keeps_its_slices() -> None:
    timeline = timeline_of(ticks(12))
    assert (timeline.width, len(timeline.bins)) == (10, 12)
    assert not timeline.brief


def test_a_slice_without_a_request_is_shown_as_nothing() -> None:
    timeline = timeline_of([*ticks(3), *ticks(3, start=NOW + 50)])
    assert [each.total.sent for each in timeline.bins] == [40, 40, 40, 0, 0, 40, 40, 40]
    assert [each.first for each in timeline.bins] == [True, *[False] * 7]


def test_the_days_between_two_runs_are_left_out() -> None:
    timeline = timeline_of([*ticks(30), *ticks(30, start=NOW + 500_000)])
    assert sum(each.seconds for each in timeline.bins) == 600
    assert [each.total.at for each in timeline.bins if each.first] == [NOW, NOW + 500_000]


def test_bins_without_whole_ones_beside_them_say_nothing_of_a_rate() -> None:
    short = [*ticks(2), *ticks(1, start=NOW + 90_000)]
    assert timeline_of(short).brief
    assert not timeline_of([*short, *ticks(3, start=NOW + 190_000)]).brief


def test_a_run_of_days_is_summed_up_to_few_bins() -> None:
    timeline = timeline_of(ticks(3 * 8640))
    assert 60 <= len(timeline.bins) <= 120
    assert timeline.width == 3600
    assert all(each.total.at % 3600 == 0 for each in timeline.bins[1:])


def test_hundreds_of_short_runs_stay_within_the_bound() -> None:
    past = [tick for run in range(400) for tick in ticks(1, start=NOW + 3600 * run)]
    timeline = timeline_of(past)
    assert len(timeline.bins) <= 120
    assert timeline.total.sent == 400 * 40


def test_percentiles_lie_in_the_slot_of_the_reply_that_they_name() -> None:
    latency = {10: 50, 13: 49, 18: 1}
    assert percentile(latency, 0.5) == pytest.approx(2 ** (11 / 2))
    assert 2 ** (13 / 2) < (percentile(latency, 0.9) or 0) < 2 ** (14 / 2)
    assert percentile(latency, 1) == pytest.approx(2 ** (19 / 2))
    assert percentile({}, 0.5) is None


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_a_percentile_agrees_with_sorting(slots: list[int], fraction: float) -> None:
    value = percentile(Counter(slots), fraction)
    assert value is not None
    within = sum(2 ** (slot / 2) < value for slot in slots)
    assert within >= fraction * len(slots) - 1e-6
    assert sum(2 ** ((slot + 1) / 2) <= value - 1e-9 for slot in slots) <= fraction * len(slots)
