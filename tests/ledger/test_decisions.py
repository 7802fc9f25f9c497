"""A decision about chosen positions: they change, and nothing else does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Batch, Outcome, Range, Settlement, State
from backfill.ledger.protocol import AnyLedger
from tests.ledger.places import Place, PostgresPlace, SqlitePlace

SIZE = 30
POSITIONS = st.sets(st.integers(0, SIZE - 1))


def ranges_of(positions: set[int]) -> list[Range]:
    """Ascending ranges, some of them one beside the other."""
    return [(each, each + 1) for each in sorted(positions)]


def positions(ledger: AnyLedger, state: State) -> set[int]:
    return {
        position
        for _, outcome, _ in ledger.outcomes(state)
        for start, stop in outcome.ranges
        for position in range(start, stop)
    }


WHAT = {
    "cuts": st.sets(st.integers(1, SIZE - 1)),
    "failed": POSITIONS,
    "again": POSITIONS,
    "delivered": POSITIONS,
}


@settings(max_examples=40, deadline=None)
@given(**WHAT)
def test_what_is_chosen_moves_and_nothing_else(cuts, failed, again, delivered):
    with TemporaryDirectory() as home:
        settle(SqlitePlace(Path(home) / "ledger.sqlite"), cuts, failed, again, delivered)


@settings(max_examples=6, deadline=None)
@given(**WHAT)
def test_it_does_so_in_postgresql(postgres, cuts, failed, again, delivered):
    place = PostgresPlace(postgres.address)
    settle(place, cuts, failed, again, delivered)
    place.drop()


def settle(place: Place, cuts: set[int], failed: set[int], again: set[int], delivered: set[int]):
    with place.open(create=True) as ledger:
        for number, (start, stop) in enumerate(pairwise([0, *sorted(cuts), SIZE])):
            batch = Batch(0, 0, ((start, stop),))
            ledger.commit([], [batch])
            reason = f"reason {number}"
            outcome = Outcome(batch.ranges, State.UNKNOWN, reason, 500 + number % 2)
            ledger.commit([Settlement(batch, (outcome,))], [])
        assert ledger.resolve(State.FAILED, {0: ranges_of(failed)}) == len(failed)
        assert ledger.resolve(State.DELIVERED, {0: ranges_of(delivered)}) == len(delivered - failed)
        assert ledger.retry({0: ranges_of(again), 7: [(0, 9)]}) == len(again & failed)
    with place.open() as ledger:  # whose totals must agree
        assert positions(ledger, State.FAILED) == failed - again
        assert positions(ledger, State.DELIVERED) == delivered - failed
        for each in range(SIZE):  # what is pending again keeps the request that it was in
            said = [attempt for *_, attempt in ledger.attempts(0, each)]
            assert len(said) == (each in again & failed)
            number = sum(cut <= each for cut in cuts)
            for attempt in said:
                assert attempt.http_status == 500 + number % 2
                assert attempt.reason.startswith("settled by hand as pending (before: ")
                assert f"reason {number}" in attempt.reason
        left = set(range(SIZE)) - failed - delivered
        assert positions(ledger, State.UNKNOWN) == left
        assert sum(stop - start for start, stop in ledger.settled(0)) == SIZE - len(again & failed)
        for _, outcome, _ in ledger.outcomes(State.FAILED):
            assert "settled by hand as failed (before: reason " in outcome.reason
