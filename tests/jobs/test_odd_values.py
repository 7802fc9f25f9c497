"""Each odd value of each type has a text or a reason: in the plan, in the records, and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest

import backfill
from backfill.core.errors import ConfigError, JobError
from backfill.jobs.job import Job

FAR = 2**31 - 1
DAYS = pl.Series([FAR, 0, None], dtype=pl.Int32).cast(pl.Date)
MOMENTS = pl.Series([2**63 - 1, 0, None], dtype=pl.Int64).cast(pl.Datetime("us"))


def planned(directory: Path, frame: Any, **others: Any) -> Job:
    fields = {
        "target.value": {"value": "+12025550101"},
        "label": "v",
        "confidence": {"value": "high"},
    }
    return backfill.plan(
        destination="watch-events",
        events=frame,
        timezone="UTC",
        fields=fields,
        job=directory / "odd.job",
        progress=lambda *_: None,
        **others,
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (DAYS, ["2147483647d", "1970-01-01", None]),
        (MOMENTS, ["9223372036854775807us", "1970-01-01T00:00:00Z", None]),
        (
            MOMENTS.dt.replace_time_zone("UTC"),
            ["9223372036854775807us", "1970-01-01T00:00:00Z", None],
        ),
        (
            DAYS.to_frame("day").to_struct(),
            ['{"day":"2147483647d"}', '{"day":"1970-01-01"}', '{"day":null}'],
        ),
        (
            DAYS.to_frame("day").select(pl.concat_list("day")).to_series(),
            ['["2147483647d"]', '["1970-01-01"]', "[null]"],
        ),
        (pl.Series([[b"\xff"], [], None]), ['["/w=="]', "[]", None]),
        (pl.Series([b"\xff", b"a", None]), ["/w==", "YQ==", None]),
        (pl.Series([float("nan"), -0.0, None]), ["NaN", "0", None]),
    ],
)
def test_records_are_written_and_shown(
    tmp_path: Path, values: pl.Series, texts: list[str | None]
) -> None:
    job = planned(tmp_path, values.to_frame("v"))
    books = job.status().books
    assert books.balanced
    for ending in ("csv", "ndjson", "parquet"):
        job.write_records(tmp_path / f"records.{ending}")
    written = pl.read_csv(tmp_path / "records.csv", infer_schema=False)
    assert written["v"].to_list() == texts
    lines = (tmp_path / "records.ndjson").read_text().splitlines()
    assert [json.loads(line)["_row"] for line in lines] == [1, 2, 3]
    for frame in (job.records(), job.rejected, job.duplicates, job.excluded):
        assert repr(frame)


class Broken:
    """A frame that fails while it is read."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise RuntimeError("out of ideas")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pl.DataFrame({"v": pl.Series([object()], dtype=pl.Object)}), "'v' holds Python objects"),
        (pa.table({"v": pa.nulls(1, pa.decimal256(50, 2))}), "'v' holds decimals of more"),
        (pl.LazyFrame({"v": ["x"]}).select("nope"), 'cannot be worked out: .*"nope"'),
        (pl.LazyFrame({"v": ["x"]}).with_columns(pl.col("v").cast(pl.Int8)), "worked out"),
        (pl.scan_parquet("/nowhere/x.parquet"), "cannot be worked out"),
        (Broken(), "out of ideas"),
    ],
)
def test_a_frame_that_cannot_be_read_says_so(
    tmp_path: Path, frame: Any, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=words):
        planned(tmp_path, frame)
    assert "panicked" not in capfd.readouterr().err


@pytest.fixture
def pandas() -> Any:
    """It takes each process that collects the tests most of a second to import."""
    import pandas  # type: ignore[import-untyped]

    return pandas


@pytest.mark.parametrize("value", [1 + 2j, object()], ids=["complex", "object"])
def test_a_frame_of_pandas_that_cannot_be_read_says_so(
    tmp_path: Path, pandas: Any, value: object, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="the column 'v' cannot be read"):
        planned(tmp_path, pandas.DataFrame({"v": [value]}))
    assert "panicked" not in capfd.readouterr().err


def test_texts_of_pandas_with_numbers_among_them_are_judged_row_by_row(
    tmp_path: Path, pandas: Any
) -> None:
    """As `read_excel` gives them: a phone that became a float costs its own row alone."""
    phones = ["+12025550101", 972540000188.0, None, 12025550102, True]
    job = backfill.plan(
        destination="watch-events",
        events=pandas.DataFrame({"phone": phones}),
        fields={
            "target.value": "phone",
            "label": {"value": "signup"},
            "confidence": {"value": "high"},
        },
        job=tmp_path / "odd.job",
        progress=lambda *_: None,
    )
    assert job.status().books.pending == 1
    rejected = job.rejected.select("_row", "phone", "_reason").rows()
    assert [row[:2] for row in rejected] == [
        (2, "972540000188.0"),
        (3, None),
        (4, "12025550102"),
        (5, "true"),
    ]
    assert "spreadsheet" in rejected[0][2] or "float" in rejected[0][2]


def test_a_period_of_pandas_names_its_column(tmp_path: Path, pandas: Any) -> None:
    frame = pandas.DataFrame({"v": pandas.period_range("2024-01", periods=2, freq="M")})
    with pytest.raises(ConfigError, match=r"'v' is of the extension type 'pandas\.period'"):
        planned(tmp_path, frame)


@pytest.mark.parametrize(
    "setting",
    [
        {"where": "v <> '\ud800'"},
        {"dedupe": {"key": ["label\ud800"]}},
    ],
)
def test_half_a_character_is_refused(tmp_path: Path, setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="half a character"):
        planned(tmp_path, pl.DataFrame({"v": ["x"]}), **setting)


@pytest.mark.parametrize(("number", "rows"), [(0, 0), (2, 2), (10**20, 3)])
def test_a_sample_has_as_many_records_as_there_are(tmp_path, number, rows):
    job = planned(tmp_path, pl.DataFrame({"v": ["a", "b", "c"]}))
    assert job.sample(number).height == rows
    with pytest.raises(ConfigError, match=f"from 0 on, and not -{number + 1}"):
        job.sample(-number - 1)
    with pytest.raises(ConfigError, match="from 0 on, and not '2'"):
        job.sample("2")  # type: ignore[arg-type]


def test_a_job_is_named_by_a_path() -> None:
    with pytest.raises(JobError, match="and not by None"):
        backfill.open_job(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["phone", {"sql": "phone"}])
def test_a_column_that_is_the_index_of_a_pandas_frame_is_said_to_be_there(
    tmp_path: Path, pandas: Any, field: object
) -> None:
    frame = pandas.DataFrame({"phone": ["+12025550143"], "event": ["signup"]})

    def plan(events: object) -> Job:
        return backfill.plan(
            destination="watch-events",
            events=events,
            fields={"target.value": field, "label": "event", "confidence": {"value": "low"}},
            job=tmp_path / "some.job",
        )

    for index in ("phone", ["event", "phone"]):
        with pytest.raises(ConfigError) as raised:
            plan(frame.assign(label="x").set_index(index))
        assert ".reset_index()" in str(raised.value.hint)
    with pytest.raises(ConfigError) as raised:
        plan(frame.drop(columns="phone"))
    assert ".reset_index()" not in str(raised.value)
    assert plan(frame.set_index("phone").reset_index()).status().books.pending == 1
