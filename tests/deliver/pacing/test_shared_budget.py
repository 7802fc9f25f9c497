"""Runs that share a limit share a budget and a quiet period, and none waits for one that died."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backfill.core.secret import Secret
from backfill.deliver.pacing.health import Health
from backfill.deliver.pacing.pacer import Pacer
from backfill.deliver.pacing.shared_budget import SharedBudget
from tests.deliver.pacing.limiters import Bucket
from tests.deliver.pacing.simulation import simulate

KEY = Secret("example-credential")
HERE = "https://api.example.com"


def opened(
    directory: Path,
    base_url: str = HERE,
    credential: Secret = KEY,
    now: float = 0.0,
    wall: Callable[[], float] = lambda: 5_000.0,
) -> SharedBudget:
    found = SharedBudget.open(directory, base_url, credential, clock=lambda: now, wall=wall)
    assert found is not None
    return found


def found(directory: Path, *, finds: bool) -> SharedBudget:
    budget = SharedBudget.open(directory, HERE, KEY, clock=lambda: 0.0, finds=finds)
    assert budget is not None
    return budget


def test_a_run_whose_rate_is_set_tells_nobody_how_fast_to_go(tmp_path: Path) -> None:
    fixed, auto = found(tmp_path, finds=False), found(tmp_path, finds=True)
    fixed.draw(0.0, 1e5)
    auto.draw(1.0, 20.0)
    assert auto.leads
    assert not fixed.leads
    assert auto.rate == 20.0


def four(directory: Path, wall: Callable[[], float]) -> list[SharedBudget]:
    return [opened(directory, now=place / 1000, wall=wall) for place in range(4)]


def test_four_runs_at_a_set_rate_keep_to_it_together(tmp_path: Path) -> None:
    found = simulate(Bucket(1e9, 1e9), seconds=15.0, rate=100.0, shared=partial(four, tmp_path))
    sent = [at for at in found.accepted if at > 1.0]
    assert len(sent) / (15.0 - 1.0) == pytest.approx(100.0, rel=0.01)


def test_four_runs_find_one_limit_together(tmp_path: Path) -> None:
    found = simulate(
        Bucket(150.0, 15.0), requests=6_000, says_when=True, shared=partial(four, tmp_path)
    )
    assert found.share(150.0) >= 0.8
    assert found.share(150.0, 20.0) >= 0.9
    assert found.refusals() <= 0.005
    assert not found.early


def test_what_was_accepted_before_a_wait_does_not_end_it_for_the_one_that_leads(
    tmp_path: Path,
) -> None:
    """The others tell of it late. Taken for the end of the wait, a second in which nobody sends
    would look like one at a low rate.
    """
    found = simulate(
        Bucket(150.0, 15.0),
        requests=3_000,
        says_when=True,
        late=0.004,
        seed=4,
        shared=partial(four, tmp_path),
    )
    assert found.share(150.0) >= 0.72


@pytest.mark.parametrize("limit", [20.0, 70.0])
def test_four_runs_that_begin_together_heed_the_first_wait(tmp_path: Path, limit: float) -> None:
    """None takes itself for alone before the others have had time to be seen."""
    found = simulate(
        Bucket(limit, max(2.0, limit / 10)),
        requests=10 * limit,
        says_when=True,
        late=0.004,
        shared=partial(four, tmp_path),
    )
    assert not found.early


def test_the_others_go_on_when_the_one_that_leads_has_died(tmp_path: Path) -> None:
    found = simulate(Bucket(50.0, 5.0), seconds=60.0, dies=30.0, shared=partial(four, tmp_path))
    after = [at for at in found.accepted if at > 35.0]
    assert len(after) >= 0.9 * 50.0 * 25.0
    assert max(late - early for early, late in pairwise(after)) < 2.0


def test_a_quiet_period_is_one_for_all(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    assert second.quiet_left() == 0.0
    first.quiet(1_000.0)
    first.quiet(900.0)
    assert second.quiet_left() == 1_000.0


def test_a_quiet_period_is_no_longer_than_was_asked_where_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    moment = 100_000.0

    def wall() -> float:
        return moment

    first, second = opened(tmp_path, wall=wall), opened(tmp_path, wall=wall)
    first.quiet(60.0)
    moment += 10.0
    assert second.quiet_left() == pytest.approx(50.0)
    moment -= 7_200.0
    assert second.quiet_left() == pytest.approx(60.0)
    moment += 45.0
    assert first.quiet_left() == pytest.approx(15.0)
    first.quiet(30.0)
    assert second.quiet_left() == pytest.approx(30.0)
    moment += 31.0
    assert second.quiet_left() == 0.0


def test_a_run_knows_its_own_wait_again_however_long_it_took_to_tell_the_others(
    tmp_path: Path,
) -> None:
    moment = 5_000.0

    def wall() -> float:  # which goes on between any two looks at it, as on a busy machine
        nonlocal moment
        moment += 0.02
        return moment

    def pacer(quiet_until: float) -> Pacer:
        return Pacer(
            50.0,
            health=Health(concurrency=8, patience=30.0, max_wait=10.0),
            quiet_until=quiet_until,
            clock=lambda: moment,
            wall=wall,
            shared=opened(tmp_path, now=moment, wall=wall),
        )

    before = pacer(0.0)
    before.quiet(60.0)
    for stored, whose in (
        (before.quiet_until, "asks"),
        (0.0, "asked another job on this machine"),
    ):
        stop = pacer(stored).begin()
        assert stop is not None
        assert f"the destination {whose} to wait" in stop.message


def test_a_wait_that_an_earlier_run_stored_holds_beside_others_too(tmp_path: Path) -> None:
    now = 0.0
    pacer = Pacer(
        50.0,
        health=Health(concurrency=8, patience=30.0, max_wait=600.0),
        quiet_until=5_033.0,
        clock=lambda: now,
        wall=lambda: 5_000.0 + now,
        shared=opened(tmp_path),
    )
    opened(tmp_path).look(1.0, 50.0)  # another run
    for moment in (0.0, 0.3, 1.0, 32.9):
        now = moment
        assert pacer.try_acquire() is None
    assert pacer.until_next() == pytest.approx(0.1)
    now = 33.1
    assert pacer.try_acquire() is not None


def test_one_that_ends_after_a_long_wait_does_not_have_the_others_forgotten(tmp_path: Path) -> None:
    """It draws nothing meanwhile, and its next slot would have begun before the wait."""
    ends, *stay = (opened(tmp_path, now=0.0) for _ in range(3))
    for moment in (0.0, 60.0):
        for each in (ends, *stay):
            each.look(moment, 100.0)
    ends.close()
    for each in stay:
        each.look(60.5, 100.0)
        assert each.others == 1


def joined(directory: Path) -> tuple[SharedBudget, SharedBudget]:
    """One that leads at 100 a second, and another one, who have met."""
    leads, follows = opened(directory), opened(directory, now=0.1)
    leads.draw(0.2, 100.0)
    follows.draw(0.2, 100.0)
    leads.look(0.5, 100.0)
    follows.look(0.5, 100.0)
    assert leads.leads
    assert not follows.leads
    leads.news()
    return leads, follows


def test_the_one_that_leads_hears_when_the_others_sent(tmp_path: Path) -> None:
    leads, follows = joined(tmp_path)
    for moment in (0.60, 0.61, 0.70):
        assert follows.draw(moment, 100.0) == 0.0
    follows.look(0.9, 100.0)
    leads.look(0.9, 100.0)
    assert leads.news().sent == ((0.60, 2), (0.70, 1))
    leads.look(1.2, 100.0)
    assert leads.news().sent == ()


def test_a_refusal_and_what_was_sent_before_are_told_at_once(tmp_path: Path) -> None:
    leads, follows = joined(tmp_path)
    assert follows.draw(0.51, 100.0) == 0.0
    follows.refused(0.51, 100.0)
    follows.look(0.53, 100.0)
    leads.quiet(1.0)
    leads.look(0.54, 100.0)
    news = leads.news()
    assert news.sent == ((0.51, 1),)
    assert news.refused == ((0.51, 100.0),)


def test_a_slot_is_as_long_as_the_rate_that_was_found_last(tmp_path: Path) -> None:
    leads, follows = joined(tmp_path)
    leads.look(0.8, 20.0)
    assert follows.draw(0.9, 100.0) == 0.0
    assert leads.draw(0.9, 20.0) == pytest.approx(0.05 - 0.025)


def test_slots_do_not_overlap_and_expire(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    assert first.draw(0.0, 100.0) == 0.0
    assert second.draw(0.0, 100.0) == pytest.approx(0.275), "for the first one to see it"
    for now in (0.276, 0.287):
        assert first.draw(now, 100.0) == second.draw(now, 100.0) == 0.0  # both were late
    assert first.draw(0.298, 100.0) == 0.0
    assert second.draw(0.298, 100.0) == pytest.approx(0.013)
    assert second.draw(0.312, 100.0) == 0.0
    assert first.draw(50.0, 100.0) == 0.0  # what was not used meanwhile is gone
    assert first.draw(50.0, 100.0) == pytest.approx(0.01)


def test_other_addresses_and_credentials_have_budgets_of_their_own(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert first.draw(0.0, 1.0) == 0.0
    assert opened(tmp_path, base_url="https://api.example.org").draw(0.0, 1.0) == 0.0
    assert opened(tmp_path, credential=Secret("other")).draw(0.0, 1.0) == 0.0
    assert opened(tmp_path).draw(0.0, 1.0) == 1.0


def test_nobody_else_reads_it_and_it_holds_no_credential(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    budget = opened(directory)
    budget.draw(0.0, 10.0)
    budget.quiet(5.0)
    for path in [directory, *directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert KEY.reveal() not in path.name
        if path.is_file():
            assert KEY.reveal().encode() not in path.read_bytes()


_EMPTY = {
    "members": {},
    "due": 0.0,
    "rate": None,
    "slots": 0,
    "accepted": 0,
    "refused": 0,
    "sent": [],
    "log": [],
}
_WRONG: list[dict[str, Any]] = [
    {"members": 3},
    {"members": {"a": 1}},
    {"members": {"a": [0, 0]}},
    {"due": "x"},
]
_WRONG += [
    {"rate": "fast"},
    {"slots": None},
    {"sent": 7},
    {"sent": [3]},
    {"log": 7},
    {"log": [1]},
    {"log": [[1, "x"]]},
]


@pytest.mark.parametrize(
    "garbage",
    ["", "[]", "{", '{"members": 3}', "\0" * 50, *(json.dumps({**_EMPTY, **w}) for w in _WRONG)],
)
def test_a_damaged_file_is_begun_anew(tmp_path: Path, garbage: str) -> None:
    opened(tmp_path).draw(0.0, 10.0)
    (path,) = (tmp_path / "rates").glob("*.json")
    path.write_text(garbage)
    assert opened(tmp_path).draw(0.0, 10.0) == 0.0


def test_a_directory_that_cannot_be_made_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = SharedBudget.open(tmp_path / "file", HERE, KEY, clock=lambda: 0.0)
    assert found is None


def test_one_that_holds_the_lock_for_ever_holds_up_nobody(tmp_path: Path) -> None:
    stuck, other = opened(tmp_path), opened(tmp_path)
    with stuck._lock.acquire():
        now = 0.0
        while (wait := other.draw(now, 10.0)) and now < 5.0:
            now += wait
    assert 0.0 < now < 1.0
