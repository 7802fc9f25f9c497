"""A part that memory does not hold gives what the same part gives in memory, frame by frame."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from backfill.config import config_from_mapping
from backfill.destinations import builtin_destinations
from backfill.jobdir.manifest import Manifest
from backfill.prepare.engines.engine import Threads
from backfill.prepare.identity import IDENTITY
from backfill.prepare.left_out import Previous
from backfill.prepare.order import sorted_by_all
from backfill.prepare.partition import Rows
from backfill.prepare.pipeline import prepare
from tests.prepare.prepared import (
    NOW,
    bucket_with_own,
    prepare_in,
    watch_fields,
    without_own_files,
)
from tests.reference.configurations import random_job
from tests.reference.jobs import Job

FILES = ("excluded.parquet", "rejected.parquet", "duplicates.parquet")


@dataclass(frozen=True)
class Planned:
    """All that a plan left behind."""

    manifest: Manifest
    frames: dict[str, pl.DataFrame]


def planned(job: Job, place: Path, name: str, **settings: Any) -> Planned:
    into = place / name
    into.mkdir()
    config = config_from_mapping(dict(job.config), directory=place)
    destination = builtin_destinations()[job.destination]
    manifest = prepare(config, destination, into, now=NOW, **settings)
    assert not (into / ".work").exists()
    frames = {name: pl.read_parquet(into / name) for name in FILES}
    for bucket in manifest.buckets:
        frames[bucket.file] = bucket_with_own(into / "ready", bucket)
    return Planned(manifest, frames)


def same(one: Planned, other: Planned) -> None:
    assert without_own_files(one.manifest) == without_own_files(other.manifest)
    assert list(one.frames) == list(other.frames)
    for name, frame in one.frames.items():
        assert_frame_equal(frame, other.frames[name])


@pytest.mark.parametrize("first", range(0, 8, 4))
def test_random_jobs_are_the_same_in_slices(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 4):
        job = random_job(seed)
        place = tmp_path / str(seed)
        place.mkdir()
        job.write(place)
        parts = 1 + seed % 4
        whole = planned(job, place, "whole", parts=parts)
        same(whole, planned(job, place, "slices", parts=parts, at_once=1 + seed % 7))


@settings(deadline=None, max_examples=10)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["+12025550143"] * 4 + ["+12025550144", "+12025550145", "none"]),
            st.sampled_from(["verification.started", "verification.completed"]),
            st.sampled_from("ab"),
            st.none() | st.integers(0, 2),
        ),
        min_size=1,
        max_size=60,
    ),
    parts=st.integers(1, 3),
    at_once=st.integers(1, 25),
    keep=st.sampled_from(["first", "last"]),
    key=st.sampled_from([None, "target.value", "metadata.correlation_id", "time"]),
    sent=st.sampled_from([None, "delivered", "rest"]),
)
def test_one_key_with_most_of_a_source_is_the_same_in_slices(
    *,
    rows: list[tuple[str, str, str, int | None]],
    parts: int,
    at_once: int,
    keep: str,
    key: str | None,
    sent: str | None,
) -> None:
    """Whatever repeats, has no time, ties, or was sent before: by key, or by its place."""
    with TemporaryDirectory() as directory:
        place = Path(directory)
        events = pl.DataFrame(
            rows,
            schema={**dict.fromkeys(["phone", "type", "about"], pl.String), "after": pl.Int64},
            orient="row",
        ).with_columns(
            at=pl.lit(datetime(2024, 3, 1, tzinfo=UTC)) + pl.duration(seconds=pl.col("after"))
        )
        events.write_parquet(place / "events.parquet")
        config = {
            "destination": "watch-feedbacks",
            "events": {"files": "events.parquet", "time": "at"},
            "fields": {
                "target.value": "phone",
                "type": "type",
                "metadata.correlation_id": "about",
            },
            "dedupe": {"keep": keep, **({"key": [key]} if key else {})},
        }
        job = Job(0, config, [], [], {})
        previous = [] if sent is None else [half_sent(planned(job, place, "earlier"), sent)]
        chosen = {"parts": parts, "previous": previous}
        whole = planned(job, place, "whole", **chosen)
        same(whole, planned(job, place, "slices", at_once=at_once, **chosen))


def half_sent(earlier: Planned, how: str) -> Previous:
    """An earlier job that delivered every other record."""
    ready = [frame for name, frame in earlier.frames.items() if name.startswith("ready/")]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "record": pl.String,
        "file": pl.UInt32,
        "row": pl.UInt64,
        "key": pl.String,
        "time": pl.Datetime("us", "UTC"),
    }
    records = pl.concat(
        [pl.DataFrame(schema=schema), *(each.select(list(schema)) for each in ready)]
    )
    return Previous(
        "earlier.job",
        earlier.manifest,
        records.gather_every(2)
        .lazy()
        .select(
            *("record", "row", "key", "time"),
            number=pl.col("file"),
            file=pl.lit("events.parquet"),
            state=pl.lit("delivered"),
        ),
        rest=how == "rest",
    )


def test_a_part_of_one_key_is_never_held_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but identities is read by the part, and those by many parts."""
    held: list[tuple[list[str], int]] = []
    read = Rows.read

    def noted(part: Rows) -> pl.DataFrame:
        frame = read(part)
        held.append((frame.columns, frame.height))
        return frame

    monkeypatch.setattr(Rows, "read", noted)
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"phone": ["+12025550143"] * 900, "label": [f"l{n}" for n in range(900)]}),
        fields=watch_fields(),
        parts=3,
        at_once=50,
    )
    assert job.ready["row"].to_list() == list(range(1, 901))
    assert sum(rows for _, rows in held) == 900
    assert all(columns == ["__file", "__row", IDENTITY] for columns, _ in held)
    assert max(rows for _, rows in held) < 4 * 50


def test_ranges_of_a_large_part_are_of_about_one_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal times are no heap: file and row divide them."""
    sizes: list[int] = []

    def noted(rows: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
        if "body" in rows.columns:
            sizes.append(rows.height)
        return sorted_by_all(rows, columns)

    monkeypatch.setattr("backfill.prepare.large_parts.sorted_by_all", noted)
    many = 20_000
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"phone": ["+12025550143"] * many, "label": [f"l{n}" for n in range(many)]}),
        fields=watch_fields(),
        parts=2,
        at_once=1_000,
    )
    assert job.ready["row"].to_list() == list(range(1, many + 1))
    assert sum(sizes) == many
    assert len(sizes) > 10
    assert max(sizes) < 2_000


@pytest.mark.parametrize("parts", [1, 2])
def test_progress_moves_within_a_large_part_and_never_back(tmp_path: Path, parts: int) -> None:
    told: dict[str, list[int]] = {}

    def progress(phase: str, done: int, total: int | None) -> None:
        assert total is None or done <= total
        told.setdefault(phase, []).append(done)

    rows = pl.DataFrame({"phone": ["+12025550143"] * 30, "label": [f"l{n}" for n in range(30)]})
    prepare_in(
        tmp_path,
        "watch-events",
        rows,
        fields=watch_fields(),
        parts=parts,
        at_once=3,
        progress=progress,
    )
    phase = told["preparing"]
    assert phase == sorted(phase)
    assert phase[-1] == 30
    if parts == 1:
        assert len(set(phase)) > 15


def test_what_is_done_of_large_parts_is_told_while_threads_work_on_them() -> None:
    moments: list[str | None] = []
    enough = threading.Event()

    def waiting(words: str | None) -> None:
        moments.append(words)
        enough.set()

    def task(item: int) -> int:
        assert enough.wait(30)
        return item

    assert sorted(Threads().run(task, [3, 4], waiting)) == [(0, 3), (1, 4)]
    assert set(moments) == {None}


ODD = {
    "nan": pl.Series([float("nan"), None, -0.0, 1e300], dtype=pl.Float64),
    "categories": pl.Series(["z", None, "a", "z"], dtype=pl.Categorical),
    "enum": pl.Series(["x", "y", None, "y"], dtype=pl.Enum(["y", "x"])),
    "decimal": pl.Series(["-0.50", "1.00", None, "0.25"]).cast(pl.Decimal(12, 2)),
    "bytes": pl.Series([b"\xff", b"", None, b"\x00"]),
    "struct": pl.Series([{"a": 1}, None, {"a": None}, {"a": 3}]),
    "list": pl.Series([[1], [], None, [3, 2]]),
    "truth": pl.Series([True, None, False, True]),
    "far": pl.Series([2**31 - 1, None, 0, -(2**31)], dtype=pl.Int32).cast(pl.Date),
    "null": pl.Series([None] * 4),
}


@pytest.mark.parametrize("key", ["one", "many"])
def test_own_columns_of_any_type_come_out_alike_however_much_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    times = ["2024-03-02T09:15:00Z", None, "2024-03-01T09:15:00Z", "none"]
    rows = pl.DataFrame(ODD).select(pl.all().repeat_by(8).explode(empty_as_null=False))
    number = pl.int_range(pl.len())
    phone = "12025550143" if key == "one" else pl.format("1202555{}", 1000 + number // 2)
    frame = rows.with_columns(
        phone=pl.concat_str(pl.lit("+"), phone if key == "many" else pl.lit(phone)),
        label=pl.format("label {}", number % 20),
        at=pl.Series(times * 8),
    )
    frame.write_parquet(tmp_path / "events.parquet")
    config = {
        "destination": "watch-events",
        "events": {"files": "events.parquet", "time": "at"},
        "fields": watch_fields(),
    }
    job = Job(0, config, [], [], {})
    whole = planned(job, tmp_path, "whole", parts=3)
    monkeypatch.setattr("backfill.prepare.buckets._SORTABLE", 0)
    spilled = planned(job, tmp_path, "spilled", parts=3, at_once=3)
    order = {"excluded.parquet": ["_row"], "rejected.parquet": ["_row"]}
    order["duplicates.parquet"] = ["_row"]
    assert whole.frames["rejected.parquet"].height == 8
    for name, rows in whole.frames.items():
        # Too many rows to be sorted as they are written are sorted by whoever reads them.
        by = order.get(name)
        other = spilled.frames[name]
        assert_frame_equal(*(each.sort(by) if by else each for each in (rows, other)))
