"""One row for each record, wherever a job keeps the source's own columns."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.jobs.records.table import parts_of_records
from backfill.ledger import Ledger
from backfill.prepare.engines.engine import Threads
from tests.prepare.prepared import Prepared, prepare_in

ROWS = 40


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Events of which one column holds single values and lists, some are wrong, some repeated."""
    lines = [
        {
            "id": f"00000000-0000-4000-8000-{number % 30:012}" if number % 9 else "none",
            "event": "seen",
            "at": "2024-01-02T03:04:05Z",
            "note": [number % 30] if number % 2 else f"n{number % 30}",
        }
        for number in range(ROWS)
    ]
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def a_job(source: Path, parts: int, **events: str) -> Prepared:
    return prepare_in(
        source.parent,
        "pristo-events",
        None,
        parts=parts,
        name=f"job{parts}",
        events={"files": source.name, "time": "at", **events},
        fields={
            "contact.id": "id",
            "contact.email": {"value": "a@example.com"},
            "type": "event",
        },
    )


def parts_of(job: Prepared, state: State | None = None) -> list[pl.LazyFrame]:
    with Ledger.open(job.directory / "ledger.sqlite", create=True) as ledger:
        return parts_of_records(job.directory, job.manifest, ledger, state)


@pytest.mark.parametrize("state", [None, State.PENDING, State.DUPLICATE])
def test_records_are_the_same_beside_their_rows_and_with_columns_of_their_own(
    source: Path, state: State | None
) -> None:
    whole, split = a_job(source, 1), a_job(source, 8)
    assert not any(bucket.own for bucket in whole.manifest.buckets)
    assert any(bucket.own for bucket in split.manifest.buckets)
    one, other = (pl.concat(parts_of(job, state)).sort("_row").collect() for job in (whole, split))
    # Which of two rows that are the same record comes first is told by the source, not the part.
    assert_frame_equal(one, other)
    assert one.columns[-6:] == ["event", "at", "note", "_raw", "_cause", "__file"]
    assert one.filter(_row=2)["note"].to_list() == ([] if state == State.DUPLICATE else ["[1]"])


def test_a_record_is_found_by_its_place_alone(source: Path) -> None:
    job = a_job(source, 8)
    found = [part.filter(__file=0, _row=3).collect() for part in parts_of(job)]
    assert [row for part in found for row in part["note"]] == ["n2"]


def test_rows_that_are_mostly_left_out_are_not_kept_for_the_few_that_are_sent(
    source: Path,
) -> None:
    job = a_job(source, 2, where="id = '00000000-0000-4000-8000-000000000001'")
    assert job.manifest.ready
    assert not any(bucket.own for bucket in job.manifest.buckets)
    assert set(parts_of(job, State.PENDING)[0].collect()["note"]) == {"[1]"}


class InRanges(Threads):
    """Cuts a source as a cluster of many workers does."""

    def __init__(self, ranges: int) -> None:
        super().__init__()
        self.ranges = ranges


def test_a_bucket_points_to_a_few_files_and_never_to_many(tmp_path: Path) -> None:
    """What each range has written for a bucket is a file; many would be a million in the end."""
    rows = {"id": ["00000000-0000-4000-8000-000000000001"] * ROWS, "at": ["2024-01-02"] * ROWS}
    frame = pl.DataFrame(rows).with_row_index("note")
    counts: list[int] = []
    for ranges in (8, 9):
        job = prepare_in(
            tmp_path,
            "pristo-events",
            frame,
            parts=4,
            name=f"job{ranges}",
            engine=InRanges(ranges),
            events={"time": "at", "timezone": "UTC"},
            fields={
                "contact.id": "id",
                "contact.email": {"value": "a@example.com"},
                "type": {"value": "seen"},
                "customFields.note": "note",
            },
        )
        counts.append(sum(len(bucket.own) for bucket in job.manifest.buckets))
        found = pl.concat(parts_of(job)).sort("_row").collect()
        assert found["note"].to_list() == list(range(ROWS))
    assert counts == [8, 0]


@pytest.mark.parametrize("state", [None, State.PENDING, State.DELIVERED])
def test_a_bucket_is_looked_up_so_many_records_at_a_time(
    source: Path, state: State | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One key can make a bucket of any size; settled ranges and pieces end where they like."""
    job = a_job(source, 1)
    ready = job.manifest.buckets[0].rows
    with Ledger.open(job.directory / "ledger.sqlite", create=True) as ledger:
        for span in ((1, 3), (5, ready - 2)):
            sent = Batch(0, 0, (span,))
            ledger.commit([], [sent])
            ledger.commit([Settlement(sent, (Outcome((span,), State.DELIVERED),))], [])
    whole = pl.concat(parts_of(job, state)).collect()
    monkeypatch.setattr("backfill.jobs.records.table._JOINED_AT_ONCE", 4)
    pieces = [part.collect() for part in parts_of(job, state)]
    assert_frame_equal(pl.concat(pieces), whole)
    assert len(pieces) >= ready // 4
    assert 0 < whole.filter(_state="delivered").height < ready or state == State.PENDING
