"""Records as files: whole or not at all, and rows that mean the same when they come back."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.io.plugins import register_io_source

import backfill
from backfill.core.atomic_files import put_in_place
from backfill.core.errors import ConfigError
from backfill.jobs.records import source_order
from backfill.jobs.records.export import write_records

GOOD = "6af613b6-569c-5c22-9c37-2ed93f31d3a0"
TYPED = pl.DataFrame(
    {
        "id": ["not-a-uuid", "nor-this"],
        "at": [
            datetime.fromisoformat("2024-07-01T09:00:00.123"),
            datetime.fromisoformat("2024-01-01"),
        ],
        "one": [1.0, 0.1],
        "huge": [1e22, -1.5e-7],
        "clock": [time(1, 2, 3), time(23, 59, 59, 5)],
        "zoned": [datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Asia/Jerusalem"))] * 2,
        "day": [date(2024, 2, 29), None],
        "money": [Decimal("1.50"), Decimal("-2.00")],
        "yes": [True, False],
        "bytes": [b"\x00\xff", None],
        "lasting": [timedelta(hours=1, seconds=2), None],
        "several": [[1, 2], []],
        "inner": [{"a": 'x"y'}, {"a": None}],
    }
)
MAPPED = ("one", "huge", "clock", "zoned", "day", "money", "yes")


def planned(place, name, events):
    return backfill.plan(
        job=place / f"{name}.job",
        destination="pristo-events",
        population=GOOD,
        events=events,
        time="at",
        timezone="Asia/Jerusalem",
        fields={
            "contact.id": "id",
            "contact.email": {"value": "a@example.com"},
            "type": {"value": "seen"},
            **{f"customFields.{each}": each for each in MAPPED},
        },
    )


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_mended_rows_are_sent_as_if_they_had_been_right_from_the_start(tmp_path, ending):
    right = TYPED.with_columns(id=pl.lit(GOOD))
    expected = planned(tmp_path, "right", right).sample()["body"].to_list()
    job = planned(tmp_path, "wrong", TYPED)
    assert job.manifest.rejected == 2
    path = tmp_path / f"rejected.{ending}"
    job.write_records(path, "rejected")
    read = {
        "csv": lambda file: pl.read_csv(file, infer_schema=False),
        "ndjson": lambda file: pl.read_ndjson(file, infer_schema_length=None),
        "parquet": pl.read_parquet,
    }[ending]
    mended = read(path).with_columns(id=pl.lit(GOOD))
    back = tmp_path / f"mended.{ending}"
    getattr(mended, f"write_{ending}")(back)
    again = planned(tmp_path, "again", back)
    assert again.manifest.ready == 2
    assert again.sample()["body"].to_list() == expected


def test_what_no_csv_can_hold_is_written_as_text(tmp_path):
    stream = io.BytesIO()
    planned(tmp_path, "job", TYPED).write_records(stream)
    row = pl.read_csv(stream.getvalue(), infer_schema=False).row(0, named=True)
    assert row["bytes"] == "AP8="
    assert row["lasting"] == "PT1H2S"
    assert row["several"] == "[1,2]"
    assert row["inner"] == '{"a":"x\\"y"}'


FILES = [1_000, 1_000, 1_000]


def many(rows: int) -> pl.LazyFrame:
    return (
        pl.LazyFrame({"_row": range(rows)})
        .with_columns(__file=(pl.col("_row") % 3).cast(pl.UInt32), name=pl.lit("x"))
        .with_columns(_row=(pl.col("_row") // 3 * 7919 % 1_000 + 1).cast(pl.UInt64))
    )


def test_many_records_are_parted_and_come_in_the_same_order(tmp_path, monkeypatch):
    frame = many(3_000).with_columns(was=pl.col("__file"))
    write_records([frame], tmp_path / "at-once.csv", 3_000, tmp_path, files=FILES)
    monkeypatch.setattr(source_order, "_SORTED_AT_ONCE", 100)
    write_records([frame], tmp_path / "parted.csv", 3_000, tmp_path, files=FILES)
    whole = (tmp_path / "at-once.csv").read_text()
    assert whole == (tmp_path / "parted.csv").read_text()
    read = pl.read_csv(tmp_path / "parted.csv")
    assert read.select("was", "_row").rows() == sorted(read.select("was", "_row").rows())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["at-once.csv", "parted.csv"]


def test_it_is_told_how_far_the_writing_of_many_records_is(tmp_path, monkeypatch):
    monkeypatch.setattr(source_order, "_SORTED_AT_ONCE", 100)
    told: list[tuple[str, int, int | None]] = []
    write_records(
        [many(3_000), many(1_000)],
        tmp_path / "r.csv",
        4_000,
        tmp_path,
        files=FILES,
        progress=lambda *now: told.append(now),
    )
    for phase in ("gathering", "writing"):
        steps = [done for label, done, total in told if label == phase and total == 4_000]
        assert steps == sorted(steps)
        assert (steps[0], steps[-1]) == (0, 4_000)
        assert len(steps) > 2


@pytest.mark.parametrize("name", ["records", "records.xlsx", "nowhere/records.csv"])
def test_a_name_that_is_no_good_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="records"):
        write_records([many(3)], tmp_path / name, 3, tmp_path, files=FILES)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("before")

    def write(text: str, *, fail: bool) -> None:
        with put_in_place(path) as draft:
            draft.write_text(text)
            assert path.read_text() == "before"
            if fail:
                raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write("half of", fail=True)
    assert path.read_text() == "before"
    write("after", fail=False)
    assert path.read_text() == "after"
    assert [each.name for each in tmp_path.iterdir()] == ["file.csv"]


def test_a_moment_is_written_in_utc(tmp_path):
    frame = many(3).with_columns(at=pl.lit(datetime(2024, 7, 1, 9, tzinfo=UTC)))
    write_records([frame], tmp_path / "r.csv", 3, tmp_path, files=FILES)
    assert "2024-07-01T09:00:00Z" in (tmp_path / "r.csv").read_text()


def test_few_records_of_many_parts_are_read_one_part_after_another(tmp_path):
    """However many rows a part holds of which none is wanted: memory knows one part."""
    reading, most = [0], [0]

    def part(number):
        schema = {"__file": pl.UInt32, "_row": pl.UInt64, "_state": pl.String}

        def read(columns, predicate, n_rows, batch_size):
            reading[0] += 1
            most[0] = max(most[0], reading[0])
            for start in range(0, 40_000, 10_000):
                rows = pl.int_range(start, start + 10_000, dtype=pl.UInt64, eager=True)
                frame = pl.DataFrame({"_row": rows}).with_columns(
                    __file=pl.lit(number, pl.UInt32), _state=pl.lit("failed")
                )
                yield frame.filter(predicate).select(columns or list(schema))
            reading[0] -= 1

        return register_io_source(read, schema=schema).filter(pl.col("_row") == 7)

    target = tmp_path / "failed.csv"
    write_records([part(number) for number in range(8)], target, 8, tmp_path, files=[8])
    assert most == [1]
    assert pl.read_csv(target)["_row"].to_list() == [7] * 8


@pytest.mark.parametrize("ending", ["csv", "ndjson"])
def test_a_map_whose_keys_are_no_texts_is_written_as_its_entries(tmp_path, ending):
    held = pl.Series([{1: "x"}, None], dtype=pl.Map(pl.Int64, pl.String))
    frame = pl.DataFrame({"phone": ["+12025550143", "bad"], "event": ["a", "b"], "of": held})
    job = backfill.plan(
        destination="watch-events",
        events=frame,
        fields={"target.value": "phone", "label": "event", "confidence": {"value": "low"}},
        job=tmp_path / "a.job",
    )
    job.write_records(tmp_path / f"rows.{ending}")
    text = (tmp_path / f"rows.{ending}").read_text().replace('""', '"')
    assert '[{"key":1,"value":"x"}]' in text
