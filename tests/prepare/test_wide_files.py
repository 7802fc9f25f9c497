"""Files of thousands of columns take time in proportion to their columns."""

from __future__ import annotations

import time

import polars as pl
import pytest

from backfill.config.types import Files
from backfill.discover.columns import profile_columns
from backfill.discover.samples import read_sample
from tests.prepare.prepared import NOW, prepare_in

FEW, MANY = 1_250, 5_000
_LINEAR = 7  # four times the columns; what grows with their square takes sixteen times as long


def wide(columns: int) -> pl.DataFrame:
    own = {
        "user_id": "6f1c0a52-0000-4000-8000-000000000001",
        "event": "x",
        "at": "2024-03-01T10:00:00Z",
    }
    return pl.DataFrame({**own, **{f"column_{number}": f"v{number}" for number in range(columns)}})


def seconds(directory, frame: pl.DataFrame, form: str) -> float:
    """How long this process works on a plan of the frame, however busy the machine is."""
    directory.mkdir()
    getattr(frame, f"write_{form}")(directory / f"events.{form}")
    started = time.process_time()
    prepared = prepare_in(
        directory,
        "pristo-events",
        None,
        events={"files": f"events.{form}", "time": "at"},
        fields={"contact.id": "user_id", "contact.email": {"value": "a@example.com"},
                "type": "event", "customFields.x": f"column_{frame.width - 4}"},
    )  # fmt: skip
    assert prepared.manifest.ready == 1
    return time.process_time() - started


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_a_plan_takes_time_in_proportion_to_the_columns(tmp_path, form):
    few = seconds(tmp_path / "few", wide(FEW), form)
    many = seconds(tmp_path / "many", wide(MANY), form)
    assert many < _LINEAR * few + 0.1


def test_a_look_at_many_columns_takes_time_in_proportion_to_them(tmp_path):
    def looked(columns: int) -> float:
        wide(columns).write_csv(tmp_path / f"{columns}.csv")
        started = time.process_time()
        sample = read_sample(Files(files=f"{columns}.csv"), tmp_path, "events")
        assert len(profile_columns(sample.common, "events", now=NOW)) == columns + 3
        return time.process_time() - started

    looked(FEW // 2)
    assert looked(MANY // 2) < _LINEAR * looked(FEW // 2) + 0.1
