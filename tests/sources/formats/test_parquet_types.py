"""Columns of types that Polars stumbles over: named, and never a panic."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from backfill.core.errors import SourceError
from tests.prepare.prepared import Prepared, prepare_in, watch_fields


def planned(directory: Path, column: Any, **fields: Any) -> Prepared:
    count = len(column)
    table = pa.table({"phone": [f"+1202555{n:04}" for n in range(count)], "v": column})
    pq.write_table(table, directory / "events.parquet")
    return prepare_in(
        directory,
        "watch-events",
        None,
        fields={**watch_fields(label={"value": "x"}), **fields},
    )


@pytest.mark.parametrize(
    ("values", "dtype", "words"),  # a first array has pyarrow import pandas: not to be collected
    [
        ([1, None], pa.timestamp("us", "Mars/Phobos"), "'v' are in a zone.*Mars/Phobos"),
        ([[1]], pa.list_(pa.timestamp("us", "Mars/Phobos")), "'v' are in a zone"),
        ([Decimal(1)], pa.decimal256(50, 2), "'v' holds decimals of 50 digits"),
    ],
)
def test_a_type_that_cannot_be_read_names_its_column(
    tmp_path: Path, values: list[Any], dtype: Any, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also where nothing is mapped to it, as no other column can be read beside it."""
    with pytest.raises(SourceError, match=words):
        planned(tmp_path, pa.array(values, dtype))
    assert "panicked" not in capfd.readouterr().err


def extension(values: list[int | None]) -> Any:
    class Period(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.int64(), "example.period")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

    return pa.ExtensionArray.from_storage(Period(), pa.array(values))


def test_an_extension_type_is_refused_where_it_is_mapped(tmp_path: Path) -> None:
    """How it is stored is no text of its: the month 2024-01 is stored as 648."""
    with pytest.raises(SourceError, match=r"'v' is of the extension type 'example\.period'"):
        planned(tmp_path, extension([648, None]), label="v")


def test_an_extension_type_that_nothing_uses_is_no_obstacle(tmp_path: Path) -> None:
    job = planned(tmp_path, extension([648, None]))
    assert job.manifest.ready == 2
    assert job.ready["source.v"].to_list() == [648, None]


def test_json_is_text(tmp_path: Path) -> None:
    column = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(['{"a": 1}', '"x"']))
    job = planned(tmp_path, column, label="v")
    assert [body["label"] for body in job.bodies] == ['{"a": 1}', '"x"']


def test_files_with_and_without_an_extension_stand_beside_each_other(tmp_path: Path) -> None:
    text = pl.DataFrame({"phone": ["+12025550101"], "v": ["plain"]})
    text.write_parquet(tmp_path / "a.parquet")
    column = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["[]"]))
    pq.write_table(pa.table({"phone": ["+12025550102"], "v": column}), tmp_path / "b.parquet")
    job = prepare_in(
        tmp_path,
        "watch-events",
        None,
        events={"files": ["a.parquet", "b.parquet"]},
        fields=watch_fields(label="v"),
    )
    assert [body["label"] for body in job.bodies] == ["plain", "[]"]
