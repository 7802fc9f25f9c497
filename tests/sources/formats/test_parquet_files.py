"""A Parquet file that cannot be read is named, with what is the matter with it."""

from __future__ import annotations

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.sources.scan import open_source


def test_two_columns_of_one_name_are_named(tmp_path):
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(table, tmp_path / "e.parquet")
    with pytest.raises(SourceError, match=r"two columns of one name.*'a'"):
        open_source(Files(files="e.parquet"), tmp_path, what="events")


def test_an_encrypted_file_is_called_so(tmp_path):
    (tmp_path / "e.parquet").write_bytes(b"PARE" + bytes(40) + b"PARE")
    with pytest.raises(SourceError, match="is encrypted"):
        open_source(Files(files="e.parquet"), tmp_path, what="events")


def test_a_file_without_a_row_group_has_no_rows(tmp_path):
    pq.ParquetWriter(tmp_path / "e.parquet", pa.schema([("a", pa.string())])).close()
    assert open_source(Files(files="e.parquet"), tmp_path, what="events").rows == 0
