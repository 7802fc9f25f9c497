"""Books that add up, and the exit code that a run's end has."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.core.model import Books, RequestCounts, State, Stop, StopKind
from backfill.jobs.status import Phase, Status, exit_code, stop_as_text, stop_from_text

COUNTS = st.integers(min_value=0, max_value=10**9)


@given(st.lists(COUNTS, min_size=7, max_size=7), st.integers(-3, 3))
def test_books_balance_exactly_when_the_states_add_up(counts, error):
    states = dict(zip([state.value for state in State], counts, strict=True))
    books = Books(input=sum(counts) + error, **states)
    assert books.balanced == (error == 0)


def test_a_negative_count_does_not_balance():
    assert not Books(input=0, pending=-1, delivered=1).balanced


@pytest.mark.parametrize(
    ("books", "code"),
    [
        (Books(input=2, delivered=2), 0),
        (Books(input=2, delivered=1, duplicate=1), 0),
        (Books(input=2, delivered=1, rejected=1), 3),
        (Books(input=2, delivered=1, failed=1), 3),
        (Books(input=3, unknown=1, failed=1, rejected=1), 5),
    ],
)
def test_a_finished_run_is_told_by_its_books(books, code):
    assert exit_code(None, books) == code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (StopKind.REFUSED, 6),
        (StopKind.UNAVAILABLE, 7),
        (StopKind.ERRORS, 4),
        (StopKind.INTERRUPTED, 130),
        (StopKind.TERMINATED, 143),
        (StopKind.LIMIT, 8),
        (StopKind.FAULT, 1),
    ],
)
def test_a_stop_comes_before_what_the_books_say(kind, code):
    books = Books(input=3, unknown=1, failed=1, rejected=1)
    assert exit_code(Stop(kind, "because"), books) == code


def test_kinds_of_stop_stand_in_the_order_of_their_precedence():
    assert [kind.exit_code for kind in StopKind] == [6, 7, 4, 130, 143, 8, 1]


@pytest.mark.parametrize(
    "stop",
    [
        None,
        Stop(StopKind.UNAVAILABLE, "dann \u00fc", 12.5),
        Stop(StopKind.FAULT, "a file is gone", code=2),
    ],
)
def test_a_stop_is_known_to_a_later_process(stop):
    assert stop_from_text(stop_as_text(stop)) == stop


def test_an_error_that_ended_a_run_has_the_exit_code_that_it_had():
    stop = Stop(StopKind.FAULT, "a file is gone", code=2)
    status = Status(
        job="x.job",
        destination="d",
        phase=Phase.STOPPED,
        books=Books(input=3, pending=2, unknown=1),
        stop=stop_from_text(stop_as_text(stop)),
        started_at=5.0,
        ended_at=9.0,
    )
    assert status.exit_code == 2


def test_the_object_for_scripts_has_the_agreed_names():
    status = Status(
        job="x.job",
        destination="pristo-events",
        phase=Phase.STOPPED,
        books=Books(input=3, pending=2, delivered=1),
        reasons={"contact.id|uuid": 1},
        requests=RequestCounts(sent=2, throttled=1),
        next="backfill run x.toml",
        stop=Stop(StopKind.LIMIT, "enough"),
        started_at=1740820500.25,
    )
    content = json.loads(json.dumps(status.as_dict()))
    assert content == {
        "job": "x.job",
        "destination": "pristo-events",
        "phase": "stopped",
        "address": None,
        "rehearsal": False,
        "exit_code": 8,
        "records": {
            "input": 3, "excluded": 0, "rejected": 0, "duplicate": 0, "pending": 2,
            "delivered": 1, "failed": 0, "unknown": 0,
        },
        "balanced": True,
        "exclusions": {},
        "reasons": {"contact.id|uuid": 1},
        "dropped": {},
        "requests": {"sent": 2, "throttled": 1, "retried": 0},
        "rate": None,
        "seconds_left": None,
        "started_at": "2025-03-01T09:15:00.250Z",
        "ended_at": None,
        "quiet_until": None,
        "paused": False,
        "rest": None,
        "stop": {"kind": "limit", "message": "enough", "come_back_at": None, "answers": []},
        "next": "backfill run x.toml",
    }  # fmt: skip
    assert {name: status[name] for name in content} == status.as_dict()


@pytest.mark.parametrize(
    ("books", "ended_at", "code"),
    [
        (Books(input=3, pending=2, delivered=1), None, 143),
        (Books(input=3, pending=1, delivered=1, rejected=1), None, 143),
        (Books(input=3, pending=1, delivered=1, unknown=1), None, 5),
        (Books(input=3, pending=2, delivered=1), 9.0, 0),  # pending again since then, by hand
    ],
)
def test_a_run_that_was_killed_has_not_finished(books, ended_at, code):
    status = Status(
        job="x.job",
        destination="d",
        phase=Phase.STOPPED,
        books=books,
        started_at=5.0,
        ended_at=ended_at,
    )
    assert status.exit_code == code


def test_a_status_says_in_one_line_what_became_of_every_record():
    books = Books(input=1_234, rejected=1, duplicate=2, delivered=1_200, failed=4, unknown=27)
    status = Status(job="x.job", destination="d", phase=Phase.COMPLETE, books=books)
    assert str(status) == (
        "x.job: complete; 1,234 records: 0 excluded, 1 rejected, 2 duplicate, 0 pending,"
        " 1,200 delivered, 4 failed, 27 unknown"
    )
    assert status.exit_code == 5
    assert status.as_dict()["stop"] is None


def test_a_stop_is_remembered_with_the_answers_and_without_them():
    stop = Stop(StopKind.UNAVAILABLE, "no luck", 7.5, (("503 busy", 4), ("reset", 1)))
    assert stop_from_text(stop_as_text(stop)) == stop
    assert stop_from_text('["unavailable", "no luck", 7.5]') == Stop(
        StopKind.UNAVAILABLE, "no luck", 7.5
    )
