"""The table of a destination's verdicts names each kind of answer once."""

from __future__ import annotations

import pytest

from backfill.destination import Fault
from backfill.destinations import builtin_destinations
from backfill.testing import verdict_table


@pytest.mark.parametrize("name", sorted(builtin_destinations()))
def test_every_answer_stands_once_beside_what_it_means(name):
    rows = verdict_table(builtin_destinations()[name]).splitlines()[2:]
    answers = {row.split(" | ")[0].strip("| "): row.split(" | ")[1].strip(" |") for row in rows}
    every = ", ".join(answers.values()).split(", ")
    assert len(every) == len(set(every))
    assert answers["delivered"] == "the documented success"
    assert "429" in answers["sent again later"]
    assert {f"no reply: {fault.value}" for fault in Fault} <= set(every)
