"""Lanes and order: one key in one lane, time inside it, and few requests that are not full."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.destination import Destination
from backfill.destinations import builtin_destinations
from backfill.prepare.order import lanes_needed, ordered, requests_needed

PRISTO = builtin_destinations()["pristo-events"]
EVENTS = builtin_destinations()["watch-events"]
FEEDBACKS = builtin_destinations()["watch-feedbacks"]
START = datetime(2024, 1, 1, tzinfo=UTC)


def items(rows: Sequence[tuple[str, int | None, str]]) -> pl.DataFrame:
    """Records with a key, seconds after START, and a type; rows are numbered from 1."""
    return pl.DataFrame(
        {
            "__file": [0] * len(rows),
            "__row": range(1, len(rows) + 1),
            "key": [key for key, _, _ in rows],
            "time": [
                START + timedelta(seconds=after) if after is not None else None
                for _, after, _ in rows
            ],
            "type": [kind for _, _, kind in rows],
        },
        schema={
            "__file": pl.UInt32,
            "__row": pl.UInt64,
            "key": pl.String,
            "time": pl.Datetime("us", "UTC"),
            "type": pl.String,
        },
    )


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([f"k{index}" for index in range(30)]),
            st.none() | st.integers(0, 5),
            st.sampled_from(["verification.started", "verification.completed"]),
        ),
        min_size=1,
        max_size=200,
    ),
    st.integers(1, 200),
)
def test_a_key_has_one_lane_and_time_goes_forward_in_it(
    rows: list[tuple[str, int | None, str]], buckets: int
) -> None:
    found = ordered(items(rows), PRISTO, buckets)
    lanes = found["lane"].to_list()
    assert sorted(set(lanes)) == list(range(max(lanes) + 1))
    assert lanes == sorted(lanes)
    assert found.group_by("key").agg(pl.col("lane").n_unique())["lane"].max() == 1
    for lane in found.partition_by("lane"):
        moments = [(each is None, each) for each in lane["time"]]
        places = list(zip(moments, lane["__row"], strict=True))
        assert places == sorted(places, key=lambda each: (each[0][0], each[0][1] or START, each[1]))


def test_a_verification_starts_before_it_completes_at_equal_times() -> None:
    rows = [("k", 1, "verification.completed"), ("k", 1, "verification.started")]
    found = ordered(items(rows), FEEDBACKS, 1)
    assert found["type"].to_list() == ["verification.started", "verification.completed"]
    assert ordered(items(rows), EVENTS, 1)["__row"].to_list() == [1, 2]


def test_a_constant_that_would_break_ties_orders_nothing() -> None:
    found = ordered(items([("k", 1, "x"), ("k", 0, "y")]).drop("type"), FEEDBACKS, 1)
    assert found["__row"].to_list() == [2, 1]


def test_watch_needs_few_more_requests_than_full_batches() -> None:
    rows = items([(f"+1202555{index % 3_000:04}", index, "x") for index in range(20_000)])
    found = ordered(rows, EVENTS, 1)
    lengths = tuple(found["lane"].rle().struct.field("len"))
    assert len(lengths) > 30, "with 300 ms a reply it should take 3 s and not 10"
    assert 200 <= requests_needed(lengths, 100) <= 20_000 / 90


@pytest.mark.parametrize(
    ("destination", "records", "buckets", "lanes"),
    [
        (PRISTO, 10, 1, 64),
        (PRISTO, 300_000, 1, 200),
        (PRISTO, 300_001, 1, 201),
        (PRISTO, 100, 32, 2),
        (PRISTO, 100, 33, 2),
        (PRISTO, 100, 1_000, 1),
        (EVENTS, 0, 1, 1),
        (EVENTS, 1_000, 1, 1),
        (EVENTS, 4_999, 1, 8),
        (EVENTS, 20_000, 1, 33),
        (EVENTS, 100_000, 1, 64),
        (EVENTS, 1_000_000, 7, 400),
        (EVENTS, 300_000, 34, 120),
    ],
)
def test_lanes_are_many_enough_to_run_beside_each_other_and_long_enough_to_fill_batches(
    destination: Destination, records: int, buckets: int, lanes: int
) -> None:
    assert lanes_needed(records, destination, buckets) == lanes
