"""What each request makes one of: equal where its fields are, and as small as it can be."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest

from backfill.core.model import Batch, Flow, Outcome, Reply, Settlement, State, Verdict

BATCH = Batch(0, 1, ((2, 3), (5, 7)))
VALUES = (
    BATCH,
    Reply(201, {"date": "today"}, b"{}"),
    Verdict(Flow.AGAIN, reason="busy", retry_after=3.0),
    Outcome(BATCH.ranges, State.FAILED, "no"),
    Settlement(BATCH, (Outcome(BATCH.ranges, State.DELIVERED),)),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_copy_is_equal_and_holds_nothing_beside_its_fields(value):
    for copy in (replace(value), deepcopy(value)):
        assert copy == value
        assert repr(copy) == repr(value)
        assert not hasattr(copy, "__dict__")


def test_equal_values_are_one_in_a_set():
    assert len({BATCH, replace(BATCH), replace(BATCH, lane=2)}) == 2
    assert replace(BATCH, lane=2) != BATCH
