"""What the rules for several deliverers see: each was too strict once, or too lax."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest

from tests.promises import Finding
from tests.simulation.checks.standings import FLYING, Standing
from tests.simulation.several.database import Answered, Seen
from tests.simulation.several.fates import LifeFates
from tests.simulation.several.fibers import World
from tests.simulation.several.plan import make_shared_plan
from tests.simulation.several.process import Process
from tests.simulation.several.rules import Rules
from tests.simulation.several.witness import SharedCall, SharedWitness

LOST = ("unknown", "lost", None)


class Scene:
    """Two deliverers of a job of two buckets, undisturbed, with a lease of `plan.lease`."""

    def __init__(self) -> None:
        self.world = World()
        self.plan = make_shared_plan(1, database="")
        self.marks: Counter[str] = Counter()
        self.witness = SharedWitness(
            ["a", "b", "c"],
            [0, 2],
            [(0, 0), (0, 0), (1, 0)],
            lambda: self.world.now,
            at_most_once=True,
            lease=self.plan.lease,
            hold=self.plan.hold,
        )
        fates = LifeFates(self.plan, self.world, self.marks, lambda *event: None)
        self.rules = Rules(self.plan, self.world, self.witness, fates)
        self.first, self.second = Process("D1", self.world), Process("D2", self.world)

    def call(self, number: int, by: Process) -> SharedCall:
        return SharedCall([number], frozenset({"abc"[number]}), self.world.now, by=by, timeout=1.0)

    def write_down(self, number: int, by: Process) -> None:
        """The intent for one record."""
        flights = [(*self.place(each), 0) for each in self.flying()] + [(*self.place(number), 0)]
        self.see("write_down", by, flights)

    def flying(self) -> list[int]:
        return [number for number, each in enumerate(self.witness.book) if each is FLYING]

    @staticmethod
    def place(number: int) -> tuple[int, int]:
        return (0, number) if number < 2 else (1, 0)

    def see(
        self,
        does: str,
        by: Process,
        flights: list[tuple[int, int, int]],
        spans: list[tuple[int, int, int, tuple[object, ...]]] = (),  # type: ignore[assignment]
        told: object = None,
    ) -> None:
        found = [(bucket, start, start + 1) for bucket, start, _ in flights]
        self.witness.changed(by, does, Seen(list(spans), found, {0: (2, "x"), 1: (1, "y")}), told)


@pytest.fixture
def scene():
    return Scene()


def test_a_quiet_period_is_known_to_all_within_a_second_whoever_was_told(scene):
    scene.rules.asked(scene.first, 10)
    scene.world.now += 0.9
    scene.rules.leaves(scene.second)
    scene.world.now += 0.2
    with pytest.raises(Finding, match="quiet"):
        scene.rules.leaves(scene.second)


def test_a_quiet_period_that_died_with_whom_was_told_is_known_to_nobody(scene):
    scene.rules.asked(scene.first, 10)
    scene.rules.dies(scene.first)
    scene.world.now += 5
    scene.rules.leaves(scene.second)


def send(scene: Scene, rate: int) -> None:
    """Twenty requests of both, so many a second."""
    for number in range(20):
        scene.rules.begins((scene.first, scene.second)[number % 2])
        scene.world.now += 1 / rate


def test_a_rate_is_one_over_all_deliverers(scene):
    terms = {"rate": 5, "limit": 100}
    scene.rules.carried_out(scene.first, " join_run(", (), Answered([(True, terms)]))
    send(scene, 5)
    with pytest.raises(Finding, match="faster than the rate"):
        send(scene, 10)


def test_one_that_was_heard_of_within_the_lease_is_not_cut_off(scene):
    heard_at = scene.world.wall()
    scene.world.now += scene.plan.lease
    scene.rules.cut_off(SimpleNamespace(heard_at=heard_at))
    with pytest.raises(Finding, match="cut off"):
        scene.rules.cut_off(SimpleNamespace(heard_at=heard_at + 1))


def test_one_that_came_back_too_late_sends_nothing_more(scene):
    scene.witness.owners = {0: (2, "x")}
    scene.rules.answered(scene.first, "SELECT retake(%s, %s)", (0, 2), Answered([(True,)]))
    scene.rules.leaves(scene.first)
    scene.rules.answered(scene.first, "SELECT retake(%s, %s)", (0, 1), Answered([(False,)]))
    with pytest.raises(Finding, match="lost a bucket"):
        scene.rules.leaves(scene.first)


def test_a_bucket_that_another_one_had_is_not_taken_back(scene):
    scene.witness.owners = {0: (2, "x")}
    with pytest.raises(Finding, match="took back"):
        scene.rules.answered(scene.first, "SELECT retake(%s, %s)", (0, 1), Answered([(True,)]))


def test_a_take_over_settles_nothing_of_another_bucket(scene):
    scene.write_down(0, scene.first)
    scene.write_down(2, scene.second)
    with pytest.raises(Finding, match="another bucket"):
        scene.see("take", scene.second, [], [(0, 0, 1, LOST), (1, 0, 1, LOST)], told=0)


def test_a_lane_is_left_alone_while_a_lost_request_may_arrive(scene):
    scene.write_down(0, scene.first)
    scene.see("take", scene.second, [], [(0, 0, 1, LOST)], told=0)
    assert scene.witness.book[0].state == "unknown"
    scene.see("write_down", scene.second, [(0, 1, 0)], [(0, 0, 1, LOST)])
    with pytest.raises(Finding, match="a lost request may arrive"):
        scene.witness.leaves(scene.call(1, scene.second))
    scene.world.now += scene.plan.hold
    scene.witness.leaves(scene.call(1, scene.second))


def test_an_answer_to_one_that_lost_the_record_says_nothing_of_the_next_request(scene):
    scene.write_down(0, scene.first)
    call = scene.call(0, scene.first)
    scene.witness.leaves(call)
    scene.witness.intents[0] = scene.second
    scene.witness.hears(call, "yes")
    assert not scene.witness.confirmed


def test_a_client_that_froze_does_not_keep_a_request_out_for_ever(scene):
    scene.write_down(0, scene.first)
    scene.witness.leaves(scene.call(0, scene.first))
    scene.first.frozen_until = scene.world.now + 100
    scene.world.now += 2
    scene.witness.book[0] = Standing(in_flight=True)
    scene.witness.intents[0], scene.witness.exposed = scene.second, set()
    scene.witness.leaves(scene.call(0, scene.second))


def test_what_thaws_too_late_takes_nothing_of_the_limit_of_a_later_run(scene):
    scene.write_down(0, scene.first)
    late = scene.call(0, scene.first)
    late.stale = True
    scene.witness.leaves(late)
    scene.witness.limit = 1
    scene.write_down(1, scene.second)
    scene.witness.leaves(scene.call(1, scene.second))
    scene.write_down(2, scene.second)
    with pytest.raises(Finding, match="limit"):
        scene.witness.leaves(scene.call(2, scene.second))
