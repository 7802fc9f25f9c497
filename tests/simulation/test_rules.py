"""What the rules allow, and nothing more: each was too strict once, or too lax."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.promises import Finding
from tests.simulation.campaign import bounded
from tests.simulation.checks.pace_check import PaceCheck
from tests.simulation.checks.waits import Waits
from tests.simulation.checks.witness import Call, Witness
from tests.simulation.world.clock import EPOCH, Clock, VirtualLoop


@pytest.fixture
def waits():
    """A wait of 4,000 s from moment 0, written down by a process that has ended."""
    waits = Waits(Counter())
    waits.hear(0, EPOCH, 4000, [1])
    waits.write(1)
    waits.process_ends(set())
    return waits


def test_a_clock_that_is_set_ahead_before_a_run_reads_the_wait_ends_it(waits):
    """A run was frozen as it began: nobody can tell an hour that passed from one that was set."""
    waits.read(10, EPOCH + 10)
    assert waits.left(10) == pytest.approx(3990)
    waits.read(1010, EPOCH + 1010 + 3600)
    assert waits.left(1010) <= 0


def test_a_run_that_has_read_the_wait_holds_it_whatever_the_clock_says(waits):
    waits.read(10, EPOCH + 10)
    waits.hold()
    waits.read(1010, EPOCH + 1010 + 3600)
    assert waits.left(1010) == pytest.approx(2990)


def test_a_wait_that_nobody_reads_holds(waits):
    assert waits.left(3000) == pytest.approx(1000)


def test_a_clock_that_was_ahead_for_a_look_alone_ends_no_wait(waits):
    """Only a run that goes on by it may forget the wait."""
    waits.read(10, EPOCH + 10 + 7200)
    waits.process_ends(set())
    waits.read(20, EPOCH + 20)
    assert waits.left(20) == pytest.approx(3980)


def test_a_clock_that_is_set_back_makes_no_wait_longer_than_was_asked_for(waits):
    waits.read(10, EPOCH + 10 - 3600)
    assert waits.left(10) == pytest.approx(3990)
    waits.process_ends(set())
    waits.read(20, EPOCH + 20)  # by what was written down: the wait began an hour earlier
    assert waits.left(20) == pytest.approx(390)


@pytest.fixture
def witness():
    return Witness(["a"], [0])


@pytest.fixture
def pace(witness):
    """That of a run with 8 requests at once, to which 4 at once and 20/s were said at moment 0."""
    check = PaceCheck(witness, -10, 100, 8)
    check.change(0, 20, 4)
    return check


def test_a_rate_must_be_heard_within_a_second(pace):
    pace.told(0.9, 100, paused=False)
    pace.told(1.1, 20, paused=False)
    with pytest.raises(Finding, match="a rate was not heard"):
        pace.told(1.1, 100, paused=False)


def test_a_pause_must_be_heard_within_a_second_and_its_end(pace):
    pace.pause(2, paused=True)
    pace.told(2.9, 20, paused=False)
    with pytest.raises(Finding, match="a pause"):
        pace.told(3.1, 20, paused=False)
    pace.pause(4, paused=False)
    with pytest.raises(Finding, match="a pause"):
        pace.told(5.1, 20, paused=True)


def test_fewer_requests_at_once_must_be_heeded_within_a_second(pace, witness):
    witness.calls.extend(Call([n], frozenset(), 0) for n in range(4))
    pace.leaves(0.9)
    with pytest.raises(Finding, match="at once"):
        pace.leaves(1.1)


def test_what_spins_without_any_time_passing_is_a_finding():
    async def spin() -> None:
        while True:  # noqa: ASYNC110 - what is to be found
            await asyncio.sleep(0)

    loop = VirtualLoop(Clock(), lambda: None)
    task = loop.create_task(spin())
    try:
        with pytest.raises(Finding, match="time does not pass"):
            loop.run_until_complete(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    finally:
        loop.close()


def test_what_computes_for_ever_is_a_finding():
    def compute() -> None:
        while True:
            pass

    with bounded(0.05), pytest.raises(Finding, match="does not end"):
        compute()


@pytest.mark.parametrize(("written", "left"), [([1, 2], 3490), ([1], 3500)])
def test_of_two_waits_that_end_at_one_date_the_later_one_is_enough(written, left):
    """Where it was written down: a clock was set back since, and then ahead by 500 seconds."""
    waits = Waits(Counter())
    waits.hear(0, EPOCH, 4000, [1])
    waits.hear(10, EPOCH + 10, 3990, [2])
    for number in written:
        waits.write(number)
    waits.process_ends({1, 2})
    waits.read(20, EPOCH + 20 - 3600)
    waits.read(20, EPOCH + 20 - 3600 + 500)
    assert waits.left(20) == pytest.approx(left)
