"""A smaller batch is learned from a server's cap and not from an item that is too large."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Flow, Lane, State, Verdict
from backfill.deliver.run.batch_size import BatchSize
from backfill.deliver.run.lanes import LaneCursor


class Capped:
    """Takes at most `cap` units in a request. A record counts one, or what `weights` says."""

    def __init__(self, cap: int, weights: dict[int, int] | None = None) -> None:
        self.cap = cap
        self.weights = weights or {}
        self.sizes: list[int] = []
        self.stored: list[int] = []

    def answer(self, positions: list[int]) -> Verdict:
        self.sizes.append(len(positions))
        if sum(self.weights.get(at, 1) for at in positions) > self.cap:
            return Verdict(Flow.SPLIT, reason="too large", http_status=413)
        self.stored += positions
        return Verdict(Flow.DELIVERED, http_status=200)


def sent(server: Capped, count: int, size: BatchSize, *, start: int = 0) -> set[int]:
    """Send so many records through one lane; returns those that failed."""
    cursor = LaneCursor(Lane(0, 0, start, start + count), ((start, start + count),), size)
    failed: set[int] = set()
    while (drawn := cursor.next()) is not None:
        batch = drawn[0]
        settlement = cursor.settle(batch, server.answer(batch.positions()), at_least_once=False)
        for outcome in settlement.outcomes:
            if outcome.state is State.FAILED:
                failed.update(at for first, stop in outcome.ranges for at in range(first, stop))
    return failed


@pytest.mark.parametrize("at", [0, 49, 50, 99, 2_345, 4_999])
def test_one_item_that_is_too_large_costs_only_the_search_for_it(at: int) -> None:
    server = Capped(1_000, {at: 10_000})
    size = BatchSize(100)
    assert sent(server, 5_000, size) == {at}
    assert size.now == 100
    assert len(server.sizes) <= 50 + 2 * 7


def test_an_item_that_passes_alone_and_with_no_other_leaves_the_size_as_it_is() -> None:
    server = Capped(1_000, {150: 1_000, 1_150: 1_000, 3_450: 1_000})
    size = BatchSize(100)
    assert sent(server, 5_000, size) == set()
    assert size.now == 100
    assert len(server.sizes) <= 50 + 3 * 2 * 7


@pytest.mark.parametrize("cap", [1, 2, 10, 50, 64, 99])
def test_a_cap_is_learned(cap: int) -> None:
    server = Capped(cap)
    size = BatchSize(100)
    assert sent(server, 5_000, size) == set()
    assert server.stored == list(range(5_000))
    best = -(-5_000 // cap)
    # Halving ends at more than half of what would pass; the rest is search and new attempts.
    assert len(server.sizes) <= 2 * best * 1.2 + 40
    assert server.sizes.count(100) <= 3 + 5  # what was refused is tried again, ever more rarely


def test_a_cap_is_learned_beside_an_item_that_is_too_large() -> None:
    server = Capped(20, {777: 1_000})
    size = BatchSize(100)
    assert sent(server, 5_000, size) == {777}
    assert 10 <= size.now <= 26
    assert len(server.sizes) <= 2 * 250 * 1.2 + 40


def test_a_size_learned_by_one_lane_serves_the_next() -> None:
    server = Capped(10)
    size = BatchSize(100)
    sent(server, 400, size)
    before = len(server.sizes)
    sent(server, 60, size, start=400)
    assert max(server.sizes[before:]) <= 14


def test_the_size_grows_again_once_the_server_takes_more() -> None:
    server = Capped(10)
    size = BatchSize(100)
    sent(server, 400, size)
    assert size.now < 100
    server.cap = 1_000
    sent(server, 50_000, size, start=400)
    assert size.now == 100


def smaller(*refused: int, most: int = 10) -> BatchSize:
    size = BatchSize(most)
    for records in refused:
        size.halved(records)
    return size


@pytest.mark.parametrize(
    ("refused", "now"),
    [((10,), 10), ((10, 10), 5), ((9, 7), 5), ((7, 9), 5), ((8, 8), 4), ((10, 10, 8), 5)],
)
def test_half_of_the_larger_of_two_refused_batches_is_learned(
    refused: tuple[int, ...], now: int
) -> None:
    assert smaller(*refused).now == now


@pytest.mark.parametrize(("records", "now"), [(7, 4), (8, 10), (10, 10)])
def test_a_batch_of_that_size_that_passes_between_two_refusals_speaks_against_them(
    records: int, now: int
) -> None:
    size = smaller(8)
    size.passed(records)
    size.halved(8)
    assert size.now == now


def test_what_is_known_already_teaches_nothing() -> None:
    """Lanes side by side are refused for one size before they know of the smaller one."""
    size = smaller(10, 10, 10, 9, 10)
    size.halved(8)
    assert size.now == 5
    size.halved(8)
    assert size.now == 4


@pytest.mark.parametrize(("most", "larger"), [(20, 20), (15, 15), (12, 12), (30, 20)])
def test_after_many_full_batches_twice_as_many_records_are_tried(most: int, larger: int) -> None:
    size = smaller(20, 20, most=most) if most >= 20 else smaller(most, most, most=most)
    before = size.now
    size.passed(before - 1)  # the last of a lane is smaller, and says nothing
    for _ in range(31):
        size.passed(before)
    assert size.now == before
    size.passed(before)
    assert size.now == larger


def test_each_size_that_is_learned_is_kept_for_twice_as_long() -> None:
    size = smaller(40, 40, most=40)
    for patience in (32, 64, 128):
        for _ in range(patience - 1):
            size.passed(20)
        assert size.now == 20
        size.passed(20)
        assert size.now == 40
        size.halved(40)
        size.halved(40)
        assert size.now == 20


def test_the_count_of_full_batches_begins_anew_with_every_size() -> None:
    size = smaller(40, 40, most=40)
    for _ in range(31):
        size.passed(20)
    size.halved(20)
    size.halved(20)
    for _ in range(63):
        size.passed(10)
    assert size.now == 10
    size.passed(10)
    assert size.now == 20
    for _ in range(63):
        size.passed(20)
    assert size.now == 20
    size.passed(20)
    assert size.now == 40


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 600),
    cap=st.integers(1, 120),
    weights=st.dictionaries(st.integers(0, 599), st.sampled_from([2, 50, 500]), max_size=6),
    most=st.integers(1, 100),
)
def test_what_cannot_pass_alone_fails_and_the_rest_arrives_once_in_order(
    count: int, cap: int, weights: dict[int, int], most: int
) -> None:
    server = Capped(cap, weights)
    size = BatchSize(most)
    heavy = {at for at, weight in weights.items() if weight > cap and at < count}
    assert sent(server, count, size) == heavy
    assert server.stored == [at for at in range(count) if at not in heavy]
    assert 1 <= size.now <= most
    batches = -(-count // min(cap, most))
    assert len(server.sizes) <= 4 * batches + (2 + 4 * len(weights)) * 8
