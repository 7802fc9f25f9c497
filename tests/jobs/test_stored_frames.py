"""Frames as sources: stored once, and known again by their rows."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

import polars as pl
import pytest

from backfill.core.errors import ConfigError
from backfill.jobs.stored_frames import as_lazy, discard_unused_frames, is_frame, store_frames
from backfill.sources.entries import SourceEntry
from tests.report.jobs import make_job

FRAME = pl.DataFrame(
    {
        "text": ["a", None, "受注"],
        "number": [1.5, float("nan"), None],
        "at": [datetime(2024, 3, 1, tzinfo=UTC), None, datetime(2024, 3, 2, tzinfo=UTC)],
        "list": [[1, None], [], None],
        "struct": [{"a": 1, "b": "x"}, {"a": None, "b": None}, None],
        "kind": pl.Series(["x", "y", None], dtype=pl.Categorical()),
    }
)


def stored(frame, directory) -> str:
    content = store_frames({"events": {"files": frame, "time": "at"}}, directory)
    assert content["events"]["time"] == "at"
    return str(content["events"]["files"])


def test_a_frame_is_stored_for_its_owner_alone_and_found_again(tmp_path):
    name = stored(FRAME, tmp_path)
    path = tmp_path / name
    assert pl.read_parquet(path).equals(FRAME)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stored(FRAME.lazy(), tmp_path) == name
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_same_rows_in_other_groups_are_the_same_frame(tmp_path):
    many = pl.concat([FRAME] * 200)
    name = stored(many, tmp_path)
    # As another version of the library might have written them.
    many.write_parquet(tmp_path / name, row_group_size=17, compression="gzip")
    assert stored(many, tmp_path) == name


@pytest.mark.parametrize(
    "other",
    [
        FRAME.head(2),
        FRAME.reverse(),
        FRAME.rename({"text": "words"}),
        FRAME.with_columns(pl.col("text").fill_null("")),
        FRAME.with_columns(pl.col("number").cast(pl.Float32)),
        FRAME.with_columns(pl.col("struct").struct.with_fields(b=pl.lit("z"))),
        FRAME.with_columns(list=pl.Series([[1, 2], [], None])),
    ],
)
def test_other_rows_are_another_frame(tmp_path, other):
    names = {stored(FRAME, tmp_path), stored(other, tmp_path)}
    assert len(names) == 2


def test_what_no_job_was_planned_from_goes(tmp_path):
    kept, other = stored(FRAME, tmp_path), stored(FRAME.head(1), tmp_path)
    users = tmp_path / "sources" / "events-mine.parquet"
    users.touch()
    entry = SourceEntry(name=kept, path=kept, size=1, mtime_ns=None, sha256="", rows=3)
    manifest = make_job(tmp_path / "a.job").manifest.model_copy(update={"events": (entry,)})
    discard_unused_frames(tmp_path, manifest)
    assert users.exists()
    assert (tmp_path / kept).exists()
    assert not (tmp_path / other).exists()


def test_what_is_no_frame_is_left_alone_or_refused(tmp_path):
    assert not is_frame("events.csv")
    assert store_frames({"events": {"files": ["a.csv"]}}, tmp_path) == {
        "events": {"files": ["a.csv"]}
    }

    class Odd:
        def __arrow_c_stream__(self, schema=None):
            raise TypeError("not today")

    with pytest.raises(ConfigError, match="a Odd cannot be read as a frame"):
        store_frames({"contacts": {"files": Odd()}}, tmp_path)


def test_a_frame_that_needs_another_package_says_which(tmp_path):
    class Frame:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    with pytest.raises(ConfigError, match="cannot be read without pyarrow") as raised:
        as_lazy(Frame(), "events")
    assert "pip install pyarrow" in str(raised.value.hint)
