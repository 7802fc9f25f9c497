"""A job's face in a notebook: light, true to the books, safe."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from backfill.core.model import Books, State
from backfill.report.html_summary import job_html, status_html
from tests.report.documents import message, parse
from tests.report.jobs import deliver, make_job, ticks


def test_books_that_do_not_balance_are_said_loudly(tmp_path: Path) -> None:
    status = make_job(tmp_path / "a.job").status()
    html = status_html(replace(status, books=Books(input=10, delivered=9)))
    assert "THE BOOKS DO NOT BALANCE." in html
    assert "10 records came in and 9 are accounted for" in html
    assert 'role="alert"' in html


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


def test_the_rules_stand_with_their_counts_and_what_they_mean(tmp_path: Path) -> None:
    status = replace(
        make_job(tmp_path / "a.job").status(),
        exclusions={"row|where": 4},
        reasons={"contact.id|uuid": 3, "contact.email|email": 1_200, "old|gone": 1},
        dropped={"contact.language|language": 2},
    )
    rows = [
        [message(cell) for cell in row]
        for table in parse(status_html(status)).iter("table")
        if table.get("class") == "rules"
        for row in table.iter("tr")
    ]
    assert rows == [
        ["row|where", "4", "`where` is not true for it"],
        ["contact.email|email", "1,200", "not name@domain.tld and nothing else"],
        ["contact.id|uuid", "3", "no UUID; `contact_id` can make one of any id"],
        ["old|gone", "1", ""],
        ["contact.language|language", "2", "no code of ISO 639-1; write `en`, not English"],
    ]


def test_the_face_of_a_job_has_what_its_plan_remarked(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    facts = job.manifest.facts.model_copy(update={"warnings": ("<b> looks like a total",)})
    face = parse(job_html(job.status(), job.manifest.model_copy(update={"facts": facts})))
    assert "Note: <b> looks like a total" in message(face)


def test_the_face_of_a_planned_job_says_how_many_requests_are_needed(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    assert "65 requests needed." in job_html(job.status(), job.manifest)


def test_one_request_is_one(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(1,))
    assert "1 request needed." in job_html(job.status(), job.manifest)
    deliver(job, [(0, 1, State.DELIVERED, "")], ticks(1, sent=1))
    assert "1 request, 0 throttled" in job_html(job.status(), job.manifest)


def test_a_hostile_path_is_text(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    status = replace(job.status(), job="<img src=x onerror=alert(1)>")
    face = parse(job_html(status, job.manifest))
    assert face.find(".//img") is None
    assert "<img src=x onerror=alert(1)>" in message(face)


def test_it_needs_no_polars() -> None:
    program = (
        "import sys; from backfill.report.html_summary import job_html;"
        "print([name for name in ('polars', 'resvg_py') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
