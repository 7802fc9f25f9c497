"""Retrying and resolving all records of a state, or those that a person chose."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

import backfill as package
from backfill.core.errors import ConfigError
from backfill.core.model import Batch, Outcome, Settlement, State, Stop, StopKind
from backfill.jobs.run_history import record_end, record_start
from backfill.ledger import Ledger
from tests.acceptance.sources import pristo_job

FAILED, UNKNOWN = State.FAILED, State.UNKNOWN


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a job that no test changes."""
    place = tmp_path_factory.mktemp("made")
    job = package.plan(pristo_job(place, 12))
    lanes = [lane for lane in job.manifest.lanes() if lane.stop > lane.start]
    answers: list[tuple[int, State, str, int | None]] = [
        (4, FAILED, "bad phone", 422),
        (3, FAILED, "Too Odd", 400),
        (2, UNKNOWN, "answered 500", 500),
        (1, UNKNOWN, "timed out", None),
    ]
    words = [(state, text, code) for count, state, text, code in answers for _ in range(count)]
    places = [(lane, at) for lane in lanes for at in range(lane.start, lane.stop)]
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        for (lane, at), (state, reason, status) in zip(places, words, strict=False):
            batch = Batch(lane.bucket, lane.number, ((at, at + 1),))
            ledger.commit([], [batch])
            outcome = Outcome(batch.ranges, state, reason, status)
            ledger.commit([Settlement(batch, (outcome,))], [])
    return Path(place)


@pytest.fixture
def job(made: Path, tmp_path: Path):
    """Twelve records: 4 failed with 422, 3 with 400, 3 are unknown, 2 are pending."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return package.open_job(tmp_path / "pristo.job")


def counts(job) -> tuple[int, int, int, int]:
    books = job.status().books
    assert books.balanced
    return books.pending, books.delivered, books.failed, books.unknown


def test_all_of_a_state_are_settled_where_nothing_is_chosen(job):
    assert counts(job) == (2, 0, 7, 3)
    assert job.retry() == 7
    assert job.resolve("delivered") == 3
    assert counts(job) == (9, 3, 0, 0)


def test_what_stopped_the_last_run_holds_until_the_next_but_for_errors_that_are_settled(job):
    def stopped(kind: StopKind) -> None:
        with Ledger.open(job.directory / "ledger.sqlite") as ledger:
            record_start(ledger, "https://api.example.com")
            record_end(ledger, 1.0, Stop(kind, "of old"))

    stopped(StopKind.ERRORS)
    assert job.retry(status=404) == 0
    assert job.status().exit_code == 4
    assert job.retry(status=422) == 4
    assert job.status().stop is None
    stopped(StopKind.LIMIT)
    assert job.retry() == 3
    assert job.status().exit_code == 8, "there is more to send"


def test_a_status_or_a_part_of_the_reason_chooses(job):
    assert job.retry(status=422) == 4
    assert job.retry(status=404) == 0
    assert counts(job) == (6, 0, 3, 3)
    assert job.retry(reason="too odd") == 3
    assert job.resolve("delivered", reason="500") == 2
    assert job.resolve("failed", reason="timed") == 1
    assert counts(job) == (9, 2, 1, 0)
    reason = job.records("failed")["_reason"][0]
    assert "timed out" in reason
    assert "by hand" in reason


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "windows-1252", "utf-16"])
def test_rows_that_a_spreadsheet_saved_again_are_chosen(job, tmp_path, separator, encoding):
    rows = job.records("unknown").head(2).with_columns(name=pl.lit("Grün"))
    path = tmp_path / "marked.csv"
    path.write_bytes(rows.write_csv(separator=separator).encode(encoding))
    assert job.resolve("failed", source=path) == 2


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_rows_of_a_file_are_chosen_and_the_others_counted(job, tmp_path, ending):
    file = tmp_path / f"rows.{ending}"
    job.write_records(file)
    settled = job.retry(source=file)
    assert (settled, settled.ignored) == (7, 5)
    settled = job.resolve("resend", source=str(file))
    assert (settled, settled.ignored) == (3, 9)
    assert counts(job) == (12, 0, 0, 0)


def test_rows_of_a_frame_are_chosen_wherever_they_stand(job):
    some = job.records("failed").gather([0, 3, 5])
    settled = job.retry(source=pl.concat([some, some]))
    assert (settled, settled.ignored) == (3, 0)
    left = set(job.records("failed")["_row"])
    assert left.isdisjoint(some["_row"])
    assert counts(job) == (5, 0, 4, 3)
    unknown = job.records("unknown").to_pandas().head(1)
    assert job.resolve("delivered", source=unknown) == 1
    assert job.records("delivered")["_row"].to_list() == unknown["_row"].to_list()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"status": 422, "reason": "x"}, "exactly one of"),
        ({"reason": ""}, "empty"),
        ({"reason": 422}, "a text, and not 422"),
        ({"status": "422"}, "a number such as 422, and not '422'"),
        ({"source": "nowhere.csv"}, "no such file"),
        ({"source": 7}, "a file or a frame"),
        ({"source": pl.DataFrame({"id": [1]})}, "no column _file"),
        ({"source": pl.DataFrame({"_file": ["event.parquet"], "_row": [1]})}, "no file of this"),
        (
            {"source": pl.DataFrame({"_file": ["events.parquet"] * 2, "_row": [12, 13]})},
            "no row 13",
        ),
        ({"source": pl.DataFrame({"_file": ["events.parquet"], "_row": [0]})}, "from 1 to 12"),
        (
            {"source": pl.DataFrame({"_file": ["events.parquet", "_file"], "_row": ["1", "_row"]})},
            "row 2: _row is '_row', and no number",
        ),
    ],
)
def test_a_choice_that_is_none_is_refused_in_words_and_changes_nothing(job, choice, words):
    with pytest.raises(ConfigError, match=words):
        job.retry(**choice)
    with pytest.raises(ConfigError, match=words):
        job.resolve("delivered", **choice)
    assert counts(job) == (2, 0, 7, 3)
