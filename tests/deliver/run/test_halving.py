"""A batch that is too large is halved until its parts pass, or a record stands alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Flow, Lane, State, Verdict
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


def sent(server: Capped, count: int, size: int) -> set[int]:
    """Send so many records through one lane; returns those that failed."""
    cursor = LaneCursor(Lane(0, 0, 0, count), ((0, count),), size)
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
    assert sent(server, 5_000, 100) == {at}
    assert len(server.sizes) <= 50 + 2 * 7


def test_an_item_that_passes_alone_and_with_no_other_is_delivered_alone() -> None:
    server = Capped(1_000, {150: 1_000, 1_150: 1_000, 3_450: 1_000})
    assert sent(server, 5_000, 100) == set()
    assert len(server.sizes) <= 50 + 3 * 2 * 7


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
    heavy = {at for at, weight in weights.items() if weight > cap and at < count}
    assert sent(server, count, most) == heavy
    assert server.stored == [at for at in range(count) if at not in heavy]
    batches = -(-count // min(cap, most))
    assert len(server.sizes) <= 4 * batches + (2 + 4 * len(weights)) * 8
