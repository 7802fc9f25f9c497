"""How the destination's answers widen and narrow what may be out, and end a run."""

from __future__ import annotations

import pytest

from backfill.core.model import StopKind
from backfill.deliver.pacing.health import Health


def health(**changes) -> Health:
    return Health(**{"concurrency": 64, "patience": 30.0, "max_wait": 600.0, **changes})


def well(width: int = 64) -> Health:
    state = health(concurrency=width)
    for _ in range(width):
        state.answered()
    return state


def test_the_first_request_goes_alone_and_every_answer_lets_one_more_be_out() -> None:
    state = health(concurrency=5)
    widths = [state.concurrency_limit]
    for _ in range(6):
        state.answered()
        widths.append(state.concurrency_limit)
    assert widths == [1, 2, 3, 4, 5, 5, 5]


def test_an_ambiguous_answer_halves_the_width_and_the_third_in_a_row_leaves_one() -> None:
    state = well(64)
    widths = []
    for _ in range(4):
        assert state.ambiguous("timed out") is None
        widths.append(state.concurrency_limit)
    assert widths == [32, 16, 1, 1]


def test_ten_ambiguous_answers_in_a_row_end_the_run() -> None:
    state = well()
    stops = [state.ambiguous("timed out") for _ in range(10)]
    assert stops[:9] == [None] * 9
    assert stops[9] is not None
    assert stops[9].kind is StopKind.UNAVAILABLE
    assert "timed out" in stops[9].message


def test_a_definite_answer_between_starts_the_count_again() -> None:
    state = well()
    for _ in range(5):
        for _ in range(9):
            assert state.ambiguous("reset") is None
        state.answered()
    assert not state.troubled


def test_an_outage_from_the_start_costs_ten_requests_one_at_a_time() -> None:
    state = health()
    sent = 0
    while True:
        assert state.concurrency_limit == 1
        sent += 1
        if state.ambiguous("500") is not None:
            break
    assert sent == 10


def test_refusals_end_the_run_when_patience_runs_out() -> None:
    state = well()
    assert state.unavailable(100.0, "connection refused") is None
    assert state.unavailable(129.9, "connection refused") is None
    stop = state.unavailable(130.0, "connection refused")
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert "30 s" in stop.message
    assert "connection refused" in stop.message


def test_a_success_gives_new_patience() -> None:
    state = well()
    state.unavailable(0.0, "503")
    state.answered()
    assert state.unavailable(40.0, "503") is None
    assert state.unavailable(69.0, "503") is None
    assert state.unavailable(70.0, "503") is not None


def test_time_that_the_destination_asked_for_is_not_held_against_it() -> None:
    state = well()
    assert state.unavailable(0.0, "503", wait=100.0) is None
    assert state.unavailable(101.0, "503") is None
    assert state.unavailable(131.0, "503") is not None


def test_a_success_ends_what_was_asked_for_before_it_too() -> None:
    state = well()
    assert state.unavailable(0.0, "503", wait=100.0) is None
    state.answered()
    assert state.unavailable(200.0, "503") is None
    assert state.unavailable(229.9, "503") is None
    assert state.unavailable(230.0, "503") is not None


def test_asked_for_waits_cannot_go_on_forever() -> None:
    state = health(max_wait=100.0)
    now, answers = 0.0, 0
    while state.unavailable(now, "503", wait=50.0) is None:
        now += 50.0
        answers += 1
        assert answers < 10
    assert now == pytest.approx(150.0)


def test_throttling_is_no_sign_of_bad_health() -> None:
    state = well(8)
    for each in range(1000):
        assert state.throttled(each / 10, wait=600.0) is None
    assert state.concurrency_limit == 8
    assert not state.troubled


def test_throttling_without_a_success_lasts_as_long_as_a_wait_may() -> None:
    state = health(max_wait=600.0)
    assert state.throttled(1000.0) is None
    assert state.throttled(1600.0, wait=600.0) is None
    state.answered()
    assert state.throttled(1601.0) is None
    stop = state.throttled(2202.0)
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert "601 s" in stop.message


def test_a_wait_above_max_wait_ends_the_run() -> None:
    state = health(max_wait=600.0)
    assert state.asked(600.0) is None
    stop = state.asked(601.0)
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert "601 s" in stop.message
    assert state.unavailable(0.0, "503", wait=601.0) is not None
    assert state.throttled(0.0, wait=601.0) is not None


def test_three_bad_answers_of_any_kind_are_trouble() -> None:
    state = well()
    state.ambiguous("timed out")
    state.unavailable(0.0, "connection refused")
    assert not state.troubled
    state.ambiguous("timed out")
    assert state.troubled
    assert state.concurrency_limit == 1
    state.answered()
    assert not state.troubled


def test_a_wait_above_max_wait_ends_the_run_beside_an_ambiguous_answer_too() -> None:
    """A 502 with a Retry-After of years kept the run waiting without a word."""
    state = health(max_wait=60.0)
    assert state.ambiguous("502", wait=60.0) is None
    stop = state.ambiguous("502", wait=61.0)
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert "61 s" in stop.message
