"""A lane's way: every record comes to rest once, in order, in a bounded number of requests."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backfill.core.model import Batch, Flow, Lane, Outcome, Settlement, State, Verdict
from backfill.deliver.run.lanes import LaneCursor, pending_ranges, portions

LANE = Lane(bucket=3, number=7, start=100, stop=200)


def flat(ranges) -> list[int]:
    return [position for start, stop in ranges for position in range(start, stop)]


# --- what is pending -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settled", "expected"),
    [
        ([], [(100, 200)]),
        ([(0, 100), (200, 300)], [(100, 200)]),
        ([(0, 50), (250, 300)], [(100, 200)]),  # other lanes' records, which do not touch this one
        ([(10, 20), (40, 60), (150, 160), (210, 220), (230, 240)], [(100, 150), (160, 200)]),
        ([(0, 300)], []),
        ([(100, 200)], []),
        ([(90, 110), (150, 160), (199, 205)], [(110, 150), (160, 199)]),
        ([(100, 101)], [(101, 200)]),
        ([(199, 200)], [(100, 199)]),
    ],
)
def test_what_is_not_settled_is_pending(settled, expected):
    assert pending_ranges(LANE, settled) == expected


POSITIONS = st.sets(st.integers(100, 199), max_size=60)


@settings(deadline=None, max_examples=60)
@given(POSITIONS)
def test_pending_and_settled_make_up_the_lane(settled):
    ranges = [(position, position + 1) for position in sorted(settled)]
    assert flat(pending_ranges(LANE, ranges)) == sorted(set(range(100, 200)) - settled)


@settings(deadline=None, max_examples=60)
@given(POSITIONS, st.integers(1, 40))
def test_portions_hold_all_in_order_and_none_is_too_large(pending, most):
    ranges = pending_ranges(LANE, [(position, position + 1) for position in sorted(pending)])
    cut = list(portions(ranges, most))
    assert [position for portion in cut for position in flat(portion)] == flat(ranges)
    sizes = [len(flat(portion)) for portion in cut]
    assert all(size == most for size in sizes[:-1])
    assert all(0 < size <= most for size in sizes)


@pytest.mark.parametrize("begin", [0, 5_000_000])
def test_a_portion_spans_a_bounded_part_of_a_lane_wherever_that_begins(begin):
    ranges = [(start, start + 1) for start in range(begin, begin + 1_000_000, 10_000)]
    cut = list(portions(ranges, 1000))
    assert all(portion[-1][1] - portion[0][0] <= 65_537 for portion in cut)
    assert [each for portion in cut for each in portion] == ranges
    assert len(cut) == 15


# --- verdicts ------------------------------------------------------------------------------


def cursor(size=10, ranges=((100, 130),)):
    return LaneCursor(LANE, ranges, size)


def first(each):
    drawn = each.next()
    assert drawn is not None
    return drawn[0]


RESTING = [
    (Flow.DELIVERED, False, State.DELIVERED),
    (Flow.DELIVERED, True, State.DELIVERED),
    (Flow.FAILED, False, State.FAILED),
    (Flow.FAILED, True, State.FAILED),
    (Flow.UNKNOWN, False, State.UNKNOWN),
    (Flow.UNKNOWN, True, State.UNKNOWN),
    (Flow.AMBIGUOUS, False, State.UNKNOWN),
]


@pytest.mark.parametrize(("flow", "at_least_once", "state"), RESTING)
def test_a_batch_comes_to_rest_with_what_the_server_said(flow, at_least_once, state):
    each = cursor()
    batch = first(each)
    verdict = Verdict(flow, reason="words", http_status=299, request_id="r")
    assert each.settle(batch, verdict, at_least_once=at_least_once) == Settlement(
        batch, (Outcome(((100, 110),), state, "words", 299, "r"),)
    )
    assert first(each).ranges == ((110, 120),)


@pytest.mark.parametrize(
    ("flow", "at_least_once"),
    [
        (Flow.AGAIN, False),
        (Flow.AGAIN, True),
        (Flow.AMBIGUOUS, True),
        (Flow.STOP, False),
        (Flow.STOP, True),
    ],
)
def test_a_batch_that_did_nothing_goes_first(flow, at_least_once):
    each = cursor()
    batch = first(each)
    settlement = each.settle(batch, Verdict(flow), at_least_once=at_least_once)
    assert settlement == Settlement(batch)
    assert each.next(0) == (batch, 0)
    assert first(each).ranges == ((110, 120),)


def test_named_items_fail_with_their_words_and_the_rest_goes_again_at_once():
    each = cursor()
    batch = first(each)
    verdict = Verdict(
        Flow.ISOLATE, reason="r", http_status=400, request_id="id", bad={4: "No number.", 0: ""}
    )
    assert each.settle(batch, verdict, at_least_once=False) == Settlement(
        batch,
        (
            Outcome(((100, 101),), State.FAILED, "r", 400, "id"),
            Outcome(((104, 105),), State.FAILED, "No number.", 400, "id"),
        ),
    )
    assert first(each).ranges == ((101, 104), (105, 110))
    assert first(each).ranges == ((110, 120),)


@pytest.mark.parametrize("flow", [Flow.ISOLATE, Flow.SPLIT])
def test_a_batch_without_a_culprit_is_halved_in_order(flow):
    each = cursor(size=5)
    batch = first(each)
    assert each.settle(batch, Verdict(flow), at_least_once=False) == Settlement(batch)
    assert [first(each).ranges, first(each).ranges] == [((100, 102),), ((102, 105),)]


@pytest.mark.parametrize("flow", [Flow.ISOLATE, Flow.SPLIT])
def test_a_single_record_fails(flow):
    each = cursor(size=1)
    batch = first(each)
    (outcome,) = each.settle(batch, Verdict(flow, reason="r"), at_least_once=True).outcomes
    assert (outcome.state, outcome.reason, outcome.ranges) == (State.FAILED, "r", ((100, 101),))


def test_an_allowance_bounds_fresh_records_only():
    each = cursor()
    batch, fresh = each.next(4) or (None, 0)
    assert (batch, fresh) == (Batch(3, 7, ((100, 104),)), 4)
    each.settle(batch, Verdict(Flow.AGAIN), at_least_once=False)
    assert each.next(0) == (batch, 0)
    each.settle(batch, Verdict(Flow.DELIVERED), at_least_once=False)
    assert each.next(0) is None


def test_a_batch_gathers_gaps():
    each = cursor(size=5, ranges=((100, 102), (104, 105), (110, 120)))
    assert each.next() == (Batch(3, 7, ((100, 102), (104, 105), (110, 112))), 5)
    assert first(each).ranges == ((112, 117),)


def test_what_a_batch_leaves_of_a_range_goes_before_the_next_range():
    each = cursor(size=4, ranges=((100, 110), (120, 123)))
    drawn = [first(each).ranges for _ in range(4)]
    assert drawn == [((100, 104),), ((104, 108),), ((108, 110), (120, 122)), ((122, 123),)]
    assert each.next() is None


def test_an_allowance_makes_no_batch_larger():
    assert cursor(size=10).next(1000) == (Batch(3, 7, ((100, 110),)), 10)


# --- against a server that knows the bad items ---------------------------------------------


class Strict:
    """Refuses a batch with bad items as a whole; names them, or some, or none."""

    def __init__(self, bad: set[int], naming: str, largest: int) -> None:
        self.bad = bad
        self.naming = naming
        self.largest = largest
        self.requests = 0
        self.stored: list[int] = []

    def answer(self, positions: list[int]) -> Verdict:
        self.requests += 1
        assert positions
        if len(positions) > self.largest:
            return Verdict(Flow.SPLIT, http_status=413)
        wrong = {index: "bad" for index, at in enumerate(positions) if at in self.bad}
        if not wrong:
            self.stored.extend(positions)
            return Verdict(Flow.DELIVERED, http_status=200)
        named = {
            "all": wrong,
            "first": dict([next(iter(wrong.items()))]),
            "none": {},
        }[self.naming]
        return Verdict(Flow.ISOLATE, reason="bad", http_status=400, bad=named)


@settings(deadline=None, max_examples=150)
@given(
    count=st.integers(1, 300),
    bad=st.sets(st.integers(0, 299), max_size=40),
    naming=st.sampled_from(["all", "first", "none"]),
    size=st.integers(1, 100),
    largest=st.integers(1, 100),
)
@example(count=100, bad=set(range(100)), naming="none", size=100, largest=100)
def test_exactly_the_bad_items_fail_and_the_others_are_stored_once_in_order(
    count, bad, naming, size, largest
):
    bad = {each for each in bad if each < count}
    server = Strict(bad, naming, largest)
    each = LaneCursor(Lane(0, 0, 0, count), ((0, count),), size)
    states: dict[int, State] = {}
    while (drawn := each.next()) is not None:
        batch = drawn[0]
        settlement = each.settle(batch, server.answer(batch.positions()), at_least_once=False)
        assert settlement.batch == batch
        for outcome in settlement.outcomes:
            for position in flat(outcome.ranges):
                assert position not in states
                states[position] = outcome.state
    assert {at for at, state in states.items() if state is State.FAILED} == bad
    assert server.stored == [at for at in range(count) if at not in bad]
    assert set(states) == set(range(count))
    batches = -(-count // min(size, largest))
    # Halving meets each bad item once on every level; naming meets it once.
    levels = size.bit_length() + 1
    # A batch that was too large ends in pieces of at least half of what is not.
    assert server.requests <= 4 * batches + 2 * levels + 2 * len(bad) * levels
