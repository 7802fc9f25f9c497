"""A short, seeded part of the attacks; the long one is `python -m tests.attack`."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.attack import checker
from tests.attack.rounds import attack


@pytest.mark.parametrize("seed", [0, 4, 11, 20, 21, 23])
def test_all_promises_hold_for_odd_inputs_and_a_hostile_server(tmp_path, seed):
    assert attack(tmp_path, seed)


@pytest.mark.parametrize("loss", [1, -1])
def test_the_checker_sees_a_record_too_many_or_too_few(tmp_path, monkeypatch, loss):
    """A checker that finds nothing in a false account would be worth nothing."""
    seen = checker.check_run

    def falsified(directory, server, **options):
        kept = list(server.accepted)
        if kept:
            server.accepted[:] = kept[1:] if loss > 0 else [kept[0], *kept]
        try:
            return seen(directory, server, **options)
        finally:
            server.accepted[:] = kept

    monkeypatch.setattr("tests.attack.rounds.check_run", falsified)
    found: Counter[str] = Counter()
    for seed in (4, 11):
        place = tmp_path / str(seed)
        place.mkdir()
        try:
            attack(place, seed)
        except AssertionError as error:
            found["not stored" if "not stored" in str(error) else "twice"] += 1
    assert found.total() == 2
    assert set(found) == {"not stored" if loss > 0 else "twice"}


def test_the_checker_sees_records_out_of_order(tmp_path, monkeypatch):
    seen = checker.check_run

    def reversed_account(directory, server, **options):
        server.accepted.reverse()
        return seen(directory, server, **options)

    monkeypatch.setattr("tests.attack.rounds.check_run", reversed_account)
    with pytest.raises(AssertionError, match="after a later record"):
        attack(tmp_path, 21)
