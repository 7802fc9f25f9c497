"""How many refused records a run may have."""

from __future__ import annotations

import pytest

from backfill.deliver.run.error_budget import FAIR_SAMPLE, ErrorsBudget


@pytest.mark.parametrize(("failed", "spent"), [(0, False), (3, False), (4, True)])
def test_a_number_is_tolerated_and_one_more_is_not(failed, spent):
    budget = ErrorsBudget(count=3)
    budget.add(failed=failed)
    assert budget.spent is spent


def test_none_are_tolerated_with_a_number_of_zero():
    budget = ErrorsBudget(count=0)
    budget.add(delivered=1)
    assert not budget.spent
    budget.add(failed=1)
    assert budget.spent
    assert budget.message == "1 of 2 records failed; max_errors is 0"


def test_a_share_says_nothing_before_a_fair_sample():
    budget = ErrorsBudget(fraction=0.01)
    budget.add(failed=FAIR_SAMPLE - 1)
    assert not budget.spent
    budget.add(delivered=1)
    assert budget.spent
    assert budget.message == "199 of 200 records failed; max_errors is 1%"


@pytest.mark.parametrize(("failed", "spent"), [(10, False), (11, True)])
def test_a_share_counts_among_delivered_and_failed(failed, spent):
    budget = ErrorsBudget(fraction=0.01)
    budget.add(delivered=1000 - failed)
    budget.add(failed=failed)
    assert budget.spent is spent


def test_without_a_bound_anything_is_tolerated():
    budget = ErrorsBudget()
    budget.add(failed=1_000_000)
    assert not budget.spent


@pytest.mark.parametrize(("count", "allowed"), [(1, "1"), (9, "9"), (10, "1%"), (500, "1%")])
def test_of_two_bounds_the_one_that_was_passed_is_told(count, allowed):
    budget = ErrorsBudget(count=count, fraction=0.01)
    budget.add(delivered=FAIR_SAMPLE - 10, failed=10)
    assert budget.spent
    assert budget.message == f"10 of 200 records failed; max_errors is {allowed}"
