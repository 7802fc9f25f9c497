"""A job's face in a notebook: light, true to the books, safe."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Books, State
from backfill.report.html_summary import books_bar, books_html, job_html
from backfill.report.wording import COLOURS
from tests.report.documents import message, parse
from tests.report.jobs import deliver, make_job, ticks

COUNTS = st.integers(0, 10**8) | st.integers(0, 3)


@given(st.fixed_dictionaries({state.value: COUNTS for state in State}))
@settings(max_examples=100, deadline=None)
def test_the_bar_shows_every_state_that_has_records_and_fills_its_width(
    counts: dict[str, int],
) -> None:
    bar = parse(books_bar(Books(input=sum(counts.values()), **counts)))
    segments = bar.findall("rect")
    assert [each.get("fill") for each in segments] == [
        colour for state, colour in COLOURS.items() if counts[state.value]
    ]
    widths = [float(each.attrib["width"]) for each in segments]
    assert all(width >= 5.9 for width in widths)
    if segments:
        last = segments[-1]
        assert float(last.attrib["x"]) + widths[-1] == pytest.approx(1000, abs=0.1)


def test_segments_are_as_wide_as_their_share() -> None:
    bar = parse(books_bar(Books(input=100, delivered=75, pending=25)))
    first, second = (float(each.attrib["width"]) for each in bar.findall("rect"))
    assert first == pytest.approx(3 * second, rel=0.001)


def test_the_bar_says_its_numbers_to_a_screen_reader() -> None:
    bar = parse(books_bar(Books(input=1_203, delivered=1_200, rejected=3)))
    assert bar.get("aria-label") == "The books of 1,203 records: delivered 1,200, rejected 3."
    empty = parse(books_bar(Books()))
    assert empty.get("aria-label") == "The books of 0 records: no records."


def test_every_state_has_a_colour_and_a_meaning() -> None:
    assert set(COLOURS) == set(State)


def test_books_that_do_not_balance_are_said_loudly() -> None:
    face = books_html(Books(input=10, delivered=9))
    assert "THE BOOKS DO NOT BALANCE." in face
    assert "10 records came in and 9 are accounted for" in face
    assert 'role="alert"' in face


def test_the_face_of_a_job_has_its_books_and_the_next_command(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    deliver(job, [(0, 12, State.DELIVERED, ""), (1, 2, State.FAILED, "no")], ticks(3, throttled=1))
    status = job.status()
    face = parse(job_html(status, job.manifest))
    text = message(face)
    assert "Pristo events · stopped ·" in text
    found = {message(row[0]): message(row[1]) for row in face.iter("tr")}
    for state in State:
        assert found[state.value] == str(status.books.count(state))
    assert found["input"] == "73"
    assert "120 requests, 3 throttled" in text
    assert text.endswith(f"Next: {status.next}")


def test_the_face_of_a_planned_job_says_how_many_requests_are_needed(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    assert "65 requests are needed." in job_html(job.status(), job.manifest)


def test_one_request_is_one(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(1,))
    assert "1 request is needed." in job_html(job.status(), job.manifest)
    deliver(job, [(0, 1, State.DELIVERED, "")], ticks(1, sent=1))
    assert "1 request, 0 throttled" in job_html(job.status(), job.manifest)


def test_a_hostile_path_is_text(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    status = replace(job.status(), job="<img src=x onerror=alert(1)>")
    face = parse(job_html(status, job.manifest))
    assert face.find(".//img") is None
    assert "<img src=x onerror=alert(1)>" in message(face)


def test_the_face_needs_neither_altair_nor_polars() -> None:
    program = (
        "import sys; from backfill.report.html_summary import job_html;"
        "print([name for name in ('altair', 'vl_convert', 'polars') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
