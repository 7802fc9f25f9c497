"""A Parquet file that cannot be read is named, with what is the matter with it."""

from __future__ import annotations

import base64

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from pyarrow.parquet import encryption

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.discover.samples import read_sample
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


class _Keys(encryption.KmsClient):  # type: ignore[misc]
    """Keys that are wrapped in nothing."""

    def __init__(self, _: object) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, name: str) -> bytes:
        del name
        return base64.b64encode(key)


def test_a_file_with_an_encrypted_column_is_called_encrypted_and_not_damaged(tmp_path):
    """Its ends are plain, so that nothing is seen of it before the column is read."""
    table = pa.table({"phone": ["+12025550143"], "at": ["2024-03-01T09:15:00Z"]})
    properties = encryption.CryptoFactory(_Keys).file_encryption_properties(
        encryption.KmsConnectionConfig(),
        encryption.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["phone"]}, plaintext_footer=True
        ),
    )
    path = tmp_path / "e.parquet"
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    source = open_source(Files(files="e.parquet"), tmp_path, what="events")
    for look in (
        source.read_through,
        lambda: read_sample(Files(files="e.parquet"), tmp_path, "events"),
    ):
        with pytest.raises(SourceError, match="is encrypted") as raised:
            look()
        assert raised.value.where == "e.parquet"
        assert "without encryption" in str(raised.value.hint)


def test_a_file_without_a_row_group_has_no_rows(tmp_path):
    pq.ParquetWriter(tmp_path / "e.parquet", pa.schema([("a", pa.string())])).close()
    assert open_source(Files(files="e.parquet"), tmp_path, what="events").rows == 0
