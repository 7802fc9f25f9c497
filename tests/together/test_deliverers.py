"""Three deliverers, and what befalls them: books and the server agree, record by record."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from tests.together.world import LEASE, running_world, until

# Some seconds each: what was lost is held for lease and timeout. A busy machine may take its time.
pytestmark = pytest.mark.timeout(240)

BOTH = pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])


def said(guarantee: str, rate: int) -> str:
    return f'guarantee = "{guarantee}"\ntimeout = "2s"\nrate = "{rate}/s"'


@BOTH
def test_one_killed_one_frozen_and_thawed_one_joined_late(tmp_path, postgres, guarantee) -> None:
    delivery = said(guarantee, 200)
    with running_world(
        tmp_path, postgres.address, rows=700, lease=LEASE, delivery=delivery, latency=0.05
    ) as world:
        killed, frozen, third = world.together(3)
        until(lambda: world.accepted > 100)
        killed.send_signal(signal.SIGKILL)
        frozen.send_signal(signal.SIGSTOP)
        late = world.deliverer()
        time.sleep(LEASE)
        before = world.accepted
        until(lambda: world.accepted > before + 100)
        frozen.send_signal(signal.SIGCONT)
        ended = world.wait(frozen, third, late, expect=(0, 5))
        assert all(each["records"]["pending"] == 0 for each in ended)
        states = world.compare(twice=guarantee == "at-least-once")
        assert states["delivered"] + states["unknown"] == 700
        if guarantee == "at-least-once":
            assert states["unknown"] == 0, "what was lost is sent again"
        else:
            assert states["unknown"] <= 2 * 64


def test_one_that_joins_while_all_buckets_are_held_gets_its_share(tmp_path, postgres) -> None:
    """All lanes of the job are walked by the first one, which has a connection for each."""
    shared = threading.Event()

    def slow(_: object) -> str | None:
        return None if shared.is_set() else "slow:0.5"

    with running_world(
        tmp_path, postgres.address, rows=1_500, delivery='rate = "100000/s"', faults=slow
    ) as world:
        first = world.deliverer()
        until(lambda: sum(world.held()) >= 12, every=0.1)
        late = world.deliverer()
        until(lambda: len(held := world.held()) == 2 and min(held) >= 4, every=0.1)
        shared.set()
        world.wait(first, late, expect=(0,))
        assert world.compare() == {"delivered": 1_500}


@BOTH
def test_a_database_that_crashes_and_is_away_for_longer_than_the_lease(
    tmp_path, postgres, guarantee
) -> None:
    with running_world(
        tmp_path,
        postgres.address,
        rows=400,
        lease=LEASE,
        delivery=said(guarantee, 200),
        latency=0.02,
    ) as world:
        both = world.together(2)
        until(lambda: world.accepted > 60)
        postgres.stop(signal.SIGQUIT)
        try:
            time.sleep(LEASE + 0.5)  # the requests that may still leave have left
            quiet = world.accepted
            time.sleep(0.5)
            assert world.accepted == quiet, "nothing is sent that cannot be written down"
        finally:
            postgres.start()
        world.wait(*both, expect=(0, 5))
        states = world.compare(twice=guarantee == "at-least-once")
        assert states["delivered"] + states["unknown"] == 400


def test_a_limit_over_three_is_kept_to_the_record(tmp_path, postgres) -> None:
    with running_world(tmp_path, postgres.address, rows=600, delivery='rate = "800/s"') as world:
        three = world.together(3, "--limit", 500)
        for each in world.wait(*three, expect=(8,)):
            assert each["stop"]["message"] == "the limit of 500 records is reached"
            assert (each["phase"], each["next"].split()[:2]) == ("stopped", ["backfill", "run"])
        assert world.compare() == {"delivered": 500, "pending": 100}


def test_after_one_429_nobody_sends_until_the_time_is_over(tmp_path, postgres) -> None:
    told: list[float] = []
    arrived: list[float] = []
    lock = threading.Lock()

    def throttle(_: object) -> str | None:
        with lock:
            arrived.append(time.monotonic())
            if len(arrived) == 200:
                told.append(arrived[-1])
                return "429:2"
            return None

    with running_world(
        tmp_path, postgres.address, rows=600, delivery='rate = "400/s"', faults=throttle
    ) as world:
        two = world.together(2)
        world.wait(*two, expect=(0,))
        assert world.compare() == {"delivered": 600}
        (at,) = told
        # What had left before the notice arrives at once, and nothing for the rest of the time.
        assert [each - at for each in arrived if 0.3 < each - at < 1.9] == []


def test_one_without_a_credential_takes_nothing_and_the_others_go_on(tmp_path, postgres) -> None:
    with running_world(tmp_path, postgres.address, rows=100, delivery='rate = "400/s"') as world:
        world.pause()
        other = world.deliverer()
        until(lambda: world.owners() == 1, every=0.1)
        without = world.deliverer(PRISTO_API_KEY="")
        _, err = without.communicate(90)
        assert without.returncode == 2
        assert "needs a credential, and PRISTO_API_KEY is not set" in err
        assert world.owners() == 1
        world.go_on()
        world.wait(other, expect=(0,))
        assert world.compare() == {"delivered": 100}


def test_a_job_in_an_object_store_is_delivered_by_two(tmp_path, postgres, bucket) -> None:
    with running_world(
        tmp_path, postgres.address, rows=300, delivery='rate = "400/s"', storage=f"{bucket}/jobs"
    ) as world:
        caches = [{"XDG_CACHE_HOME": str(tmp_path / name)} for name in ("one", "two")]
        world.pause()
        two = [world.deliverer(**surroundings) for surroundings in caches]
        until(lambda: world.owners() == 2, every=0.1)
        world.go_on()
        world.wait(*two, expect=(0,))
        assert world.compare() == {"delivered": 300}
        copied = [len(list((tmp_path / name).rglob("ready/*.parquet"))) for name in ("one", "two")]
        assert all(copied), "each copied what it delivered"
        # A bucket that one gave the other for its share was copied by both.
        planned = len(list((tmp_path / "cache").rglob("ready/???.parquet")))
        assert max(copied) < planned <= sum(copied)


def test_two_that_begin_a_new_job_at_once_plan_it_once_and_both_deliver(tmp_path, postgres) -> None:
    with running_world(
        tmp_path, postgres.address, rows=400, delivery='rate = "40/s"', planned=False
    ) as world:
        two = [
            world.deliverer(XDG_CACHE_HOME=str(tmp_path / cache))
            for cache in ("cache", "another cache")
        ]
        until(lambda: world.owners() == 2, every=0.1)
        world.command("pace", world.config, "--rate", "1000/s", expect=(0,))
        world.wait(*two, expect=(0,))
        assert world.compare() == {"delivered": 400}
