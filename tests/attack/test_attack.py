"""A short, seeded part of the attacks; the long one is `python -m tests.attack`."""

from __future__ import annotations

import pytest

from tests.attack.rounds import attack


@pytest.mark.parametrize("seed", [0, 4, 11, 20, 21, 23])
def test_all_promises_hold_for_odd_inputs_and_a_hostile_server(tmp_path, seed):
    assert attack(tmp_path, seed)
