"""A file of the job is damaged, lost or put back between two runs: refused, or nothing twice."""

from __future__ import annotations

import pytest

from tests.acceptance.damage import Begun, attack, begun_job


@pytest.fixture(scope="module", params=[True, False], ids=["after a kill", "after a stop"])
def begun(request, tmp_path_factory: pytest.TempPathFactory) -> Begun:
    return begun_job(tmp_path_factory.mktemp("begun"), kill=request.param)


@pytest.mark.parametrize("first", [0, 8, 16])
def test_whatever_is_damaged_nothing_is_sent_twice(begun, tmp_path, first):
    for seed in range(first, first + 8):
        place = tmp_path / str(seed)
        place.mkdir()
        attack(begun, place, seed)
