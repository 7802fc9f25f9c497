"""The library in a real kernel: frames, faces, bars, short errors, and the stop button."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from backfill import open_job
from backfill.sandbox import Sandbox, running_sandbox
from tests.acceptance.kernel import Kernel, running_kernel
from tests.acceptance.sources import pristo_job

SETTINGS = """
settings = dict(
    destination="watch-events",
    time="at",
    fields={"target.value": "phone", "label": "event", "confidence": {"value": "neutral"}},
)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("notebook")
    pristo_job(place, 3_000, contacts=300, delivery="concurrency = 4")
    return place


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running_sandbox(latency=0.02) as server:
        yield server


@pytest.fixture(scope="module")
def kernel(place: Path, server: Sandbox) -> Iterator[Kernel]:
    """One kernel for all tests here, as one notebook has one for all its cells."""
    with running_kernel(place) as kernel:
        cell = kernel.run(
            f"""
import warnings
warnings.simplefilter("error")
import backfill, pandas, polars as pl
url = {server.url!r}
events = pl.DataFrame({{
    "phone": ["+12025550143", "+447700900101", "not a phone"],
    "event": ["signup"] * 3,
    "at": ["2024-03-01T09:15:00Z", "2024-03-02T10:00:00Z", "2024-03-03T11:00:00Z"],
}})
{SETTINGS}
"""
        )
        assert cell.error is None, cell.error
        yield kernel


def test_a_job_shows_itself_and_its_frames(kernel):
    cell = kernel.run('job = backfill.plan("pristo.toml", job="shown.job")\njob')
    assert cell.error is None
    assert "<svg" in cell.html
    assert "3,000" in cell.html
    cell = kernel.run("job.sample(2)")
    assert "body" in cell.plain
    cell = kernel.run("job.rejected.height, job.duplicates.height, job.records('pending').height")
    assert cell.plain == "(0, 0, 3000)"
    cell = kernel.run("job.run(base_url=url, limit=10)")
    assert "Next: " in cell.html
    assert kernel.run("job.status()['records']['delivered']").plain == "10"
    assert "shown.job: stopped; 3,000 records: " in kernel.run("print(job.status())").text
    assert "report.html" in kernel.run("job.report()").plain


@pytest.mark.parametrize(
    "source",
    [
        "events",
        "events.lazy()",
        "events.to_arrow()",
        "pandas.DataFrame(events.to_dict(as_series=False))",
    ],
)
def test_any_kind_of_frame_makes_the_same_job(kernel, source):
    plan = "job = backfill.plan(events={}, job='frames.job', **settings)"
    assert kernel.run(plan.format("events")).error is None
    created = kernel.run("job.manifest.created").plain
    cell = kernel.run(f"{plan.format(source)}\njob.manifest.created")
    assert (cell.error, cell.plain) == (None, created)
    assert kernel.run("job.status()['reasons']").plain == "{'target.value|e164': 1}"


def test_a_cell_run_again_finds_what_was_delivered_and_a_changed_frame_is_refused(kernel):
    again = "job = backfill.plan(events=events, job='again.job', **settings)"
    kernel.run(again)
    assert "complete" in kernel.run("job.run(base_url=url)").html
    assert kernel.run(f"{again}\njob.status()['records']['delivered']").plain == "2"
    cell = kernel.run("backfill.plan(events=events.head(1), job='again.job', **settings)")
    assert "ChangedError" in cell.error
    assert 'plan(…, job="NEW.job", dedupe={"delivered_by": ' in cell.error


def test_a_frame_that_changed_before_anything_was_sent_is_planned_anew(kernel, place):
    plan = "backfill.plan(events=events.head({}), job='anew.job', **settings)"
    kernel.run(f"old = {plan.format(2)}")
    kernel.run(f"new = {plan.format(1)}")
    assert kernel.run("new.status()['records']['input']").plain == "1"
    assert "planned anew since" in kernel.run("old.run(base_url=url)").error
    assert len(list((place / "anew.job" / "sources").iterdir())) == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("backfill.plan('nope.toml')", "ConfigError: nope.toml: there is no such file"),
        ("backfill.open_job('nope.job')", "JobError: nope.job: there is no job here"),
        ("backfill.open_job('shown.job').run(rat='5/s')", "Did you mean 'rate'?"),
        ("backfill.plan(events=[1], destination='x', fields={})", "ConfigError: events: a frame"),
        ("backfill.plan(events)", "plan(events=frame, …)"),
    ],
)
def test_a_mistake_is_told_in_a_few_lines(kernel, code, message):
    kernel.run("backfill.plan('pristo.toml', job='shown.job')")
    cell = kernel.run(f"def mine():\n    return {code}\nmine()")
    assert message in cell.error
    assert code in cell.error
    assert "backfill/" not in cell.error
    assert len(cell.error.splitlines()) <= 6


def test_the_stop_button_finishes_what_is_in_flight_and_a_later_run_goes_on(kernel, place, server):
    kernel.run('job = backfill.plan("pristo.toml", job="stopped.job")')
    before = len(server.accepted)
    request = kernel.begin("status = job.run(base_url=url, rate='200/s')")
    _wait_for(server, before + 60)
    time.sleep(1.5)  # until a bar is there, too
    kernel.interrupt()
    cell = kernel.end(request)
    assert cell.error is None
    assert any("application/vnd.jupyter.widget-view+json" in data for data in cell.displays)
    assert kernel.run("status.stop.kind.value, status.exit_code").plain == "('interrupted', 130)"
    books = open_job(place / "stopped.job").status().books
    assert books.unknown == 0
    assert books.delivered == len(server.accepted) - before >= 60
    kernel.run("status = job.run(base_url=url, rate='100000/s', limit=100)")
    assert open_job(place / "stopped.job").status().books.delivered == books.delivered + 100


def test_the_stop_button_pressed_twice_leaves_at_once_and_the_job_is_free(kernel):
    kernel.run('job = backfill.plan("pristo.toml", job="left.job")')
    with running_sandbox(latency=60) as silent:  # no answer comes before it is left
        request = kernel.begin(f"job.run(base_url={silent.url!r}, timeout='50s')")
        _wait_until(lambda: silent.stats["destinations"]["pristo-events"]["requests"])
        kernel.interrupt()
        time.sleep(0.7)
        kernel.interrupt()
        assert "KeyboardInterrupt" in (kernel.end(request).error or "")
        cell = kernel.run("books = job.status().books\n(job.resolve('resend'), books.unknown)[1]")
    assert cell.error is None
    assert 1 <= int(cell.plain) <= 4


def test_an_awaited_run_that_is_stopped_leaves_the_books_intact(kernel, place, server):
    kernel.run('job = backfill.plan("pristo.toml", job="awaited.job")')
    before = len(server.accepted)
    request = kernel.begin("await job.run_async(base_url=url, rate='200/s')")
    _wait_for(server, before + 60)
    kernel.interrupt()
    assert kernel.end(request).error is not None
    books = open_job(place / "awaited.job").status().books
    assert books.unknown == 0
    assert books.delivered == len(server.accepted) - before >= 60
    cell = kernel.run("await job.run_async(base_url=url, rate='100000/s', limit=100)")
    assert cell.error is None
    assert open_job(place / "awaited.job").status().books.delivered == books.delivered + 100


def test_a_kernel_without_widgets_gets_a_plain_bar_and_no_warning(kernel):
    cell = kernel.run(
        """
import importlib.util, sys, warnings
import backfill.progress.bars
found = backfill.progress.bars.find_spec
backfill.progress.bars.find_spec = lambda name: None if name == "ipywidgets" else found(name)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    job = backfill.plan("pristo.toml", job="plain.job")
    status = job.run(base_url=url, rate="150/s", limit=450)
backfill.progress.bars.find_spec = found
[str(each.message) for each in caught]
"""
    )
    assert (cell.error, cell.plain) == (None, "[]")
    assert not cell.displays
    assert "requests/s" in cell.text
    assert "\x1b[A" not in cell.text


def _wait_for(server: Sandbox, accepted: int) -> None:
    _wait_until(lambda: len(server.accepted) >= accepted)


def _wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_frames_of_many_rows_are_found_again(tmp_path, monkeypatch):
    """However its rows were put into groups when it was stored."""
    import backfill

    monkeypatch.chdir(tmp_path)
    rows = 50_000
    frame = pl.DataFrame(
        {
            "phone": [f"+1202555{number % 100 + 100:04}" for number in range(rows)],
            "event": [f"step.{number}" for number in range(rows)],
        }
    )

    def plan(events: pl.DataFrame | pl.LazyFrame) -> backfill.Job:
        return backfill.plan(
            destination="watch-events",
            events=events,
            fields={"target.value": "phone", "label": "event", "confidence": {"value": "low"}},
        )

    first = plan(frame)
    pieces = pl.concat([frame[:777], frame[777:30_000], frame[30_000:]], rechunk=False)
    again = plan(pieces.lazy().filter(pl.col("event") != "none"))
    assert again.manifest.created == first.manifest.created
