"""Files of thousands of columns are worked on in proportion to their columns.

Work is counted, not timed: the lines of this package that run, and the queries that are worked
out. Of what grows in proportion, twice the columns add twice as much as before; of what grows
with their square, four times as much. What it takes in seconds: `python -m benchmarks.columns`.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl
import pytest

import backfill
from backfill.config.sources import Files
from backfill.discover.columns import profile_columns
from backfill.discover.samples import read_sample
from tests.prepare.prepared import NOW, prepare_in

COLUMNS = 50, 100, 200
_OURS = str(Path(backfill.__file__).parent)
_COLLECT = inspect.unwrap(pl.LazyFrame.collect).__code__
_COLLECT_ALL = inspect.unwrap(pl.collect_all).__code__


def wide(columns: int) -> pl.DataFrame:
    own = {
        "user_id": "6f1c0a52-0000-4000-8000-000000000001",
        "event": "x",
        "at": "2024-03-01T10:00:00Z",
    }
    return pl.DataFrame({**own, **{f"column_{number}": f"v{number}" for number in range(columns)}})


class Work(Counter[str]):
    """How many lines of the package run and how many queries are worked out, while it is open."""

    def __enter__(self) -> Work:
        self._before = sys.gettrace()
        threading.settrace(self._call)
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)
        threading.settrace(self._before)

    def _call(self, frame: FrameType, _event: str, _: object) -> Any:
        if frame.f_code is _COLLECT:
            self["queries"] += 1
        elif frame.f_code is _COLLECT_ALL:
            self["queries"] += len(list(frame.f_locals["lazy_frames"]))
        return self._line if frame.f_code.co_filename.startswith(_OURS) else None

    def _line(self, _frame: FrameType, event: str, _: object) -> Any:
        self["lines"] += event == "line"
        return self._line


def assert_linear(few: Work, some: Work, many: Work) -> None:
    """Of three in which each has twice the columns of the one before."""
    first, second = some["lines"] - few["lines"], many["lines"] - some["lines"]
    assert first > 0
    assert second < 2.2 * first
    assert few["queries"] == some["queries"] == many["queries"] > 0


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_a_plan_does_work_in_proportion_to_the_columns(tmp_path, form):
    def planned(columns: int) -> Work:
        directory, frame = tmp_path / str(columns), wide(columns)
        directory.mkdir()
        getattr(frame, f"write_{form}")(directory / f"events.{form}")
        with Work() as work:
            prepared = prepare_in(
                directory,
                "pristo-events",
                None,
                events={"files": f"events.{form}", "time": "at"},
                fields={"contact.id": "user_id", "contact.email": {"value": "a@example.com"},
                        "type": "event", "customFields.x": f"column_{columns - 1}"},
            )  # fmt: skip
        assert prepared.manifest.ready == 1
        return work

    planned(COLUMNS[0] // 2)  # what is done once a process
    assert_linear(*map(planned, COLUMNS))


def test_a_look_at_many_columns_does_work_in_proportion_to_them(tmp_path):
    def looked(columns: int) -> Work:
        wide(columns).write_csv(tmp_path / f"{columns}.csv")
        with Work() as work:
            sample = read_sample(Files(files=f"{columns}.csv"), tmp_path, "events")
            assert len(profile_columns(sample.common, "events", now=NOW)) == columns + 3
        return work

    looked(COLUMNS[0] // 2)
    assert_linear(*map(looked, COLUMNS))
