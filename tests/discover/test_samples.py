"""A sample is bounded, whatever the size and number of the files."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from backfill.config import Files
from backfill.core.errors import SourceError
from backfill.discover import samples
from backfill.discover.samples import read_sample


def read(directory, *files):
    return read_sample(Files(files=files), directory, "events")


def lines(count, start=0):
    return "".join(f"{number},text\n" for number in range(start, start + count))


@pytest.fixture
def small_limits(monkeypatch):
    """Limits at which a file of some kilobytes is a large one."""
    monkeypatch.setattr(samples, "_LARGE", 4_000)
    monkeypatch.setattr(samples, "_HEAD", 1_000)
    monkeypatch.setattr(samples, "_MIDDLE", 500)
    monkeypatch.setattr(samples, "_ROWS", 50)


def test_a_small_file_is_read_whole(tmp_path):
    (tmp_path / "a.csv").write_text("n,t\n" + lines(30))
    sample = read(tmp_path, "a.csv")
    assert sample.frame.columns == ["n", "t"]
    assert sample.frame.height == sample.rows == 30
    assert str(sample) == "all 30 rows"


def test_malformed_rows_are_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("n,t\n1,a\n1,2,3,4\n2,b\n")
    sample = read(tmp_path, "a.csv")
    assert sample.frame["n"].to_list() == ["1", "2"]
    assert str(sample) == "all 3 rows (1 cannot be read)"
    assert sample.unreadable == ("a.csv", 2, "1,2,3,4")


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_the_separator_of_a_quoted_header_is_found(tmp_path, separator):
    lines = [separator.join(f'"{cell}"' for cell in line) for line in (["Id", "Name"], ["1", "a"])]
    (tmp_path / "a.csv").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    sample = read(tmp_path, "a.csv")
    assert sample.separator == separator
    assert sample.frame.rows() == [("1", "a")]


def test_directories_named_key_and_value_are_columns(tmp_path):
    for day in ("01", "02"):
        folder = tmp_path / "events" / f"month=2024-{day}"
        folder.mkdir(parents=True)
        pl.DataFrame({"n": [1]}).write_parquet(folder / "part.parquet")
    sample = read(tmp_path, "events")
    assert sample.hive
    assert sample.frame.rows() == [(1, "2024-01"), (1, "2024-02")]
    (tmp_path / "events" / "rest.parquet").write_bytes(
        (tmp_path / "events" / "month=2024-01" / "part.parquet").read_bytes()
    )
    assert not read(tmp_path, "events").hive


@pytest.mark.usefixtures("small_limits")
def test_an_excerpt_keeps_the_columns_of_its_directories(tmp_path):
    folder = tmp_path / "month=2024-01"
    folder.mkdir()
    (folder / "a.csv").write_text("n,t\n" + lines(5_000))
    assert set(read(tmp_path, "month=2024-01/a.csv").frame["month"]) == {"2024-01"}


@pytest.mark.usefixtures("small_limits")
def test_a_large_text_file_gives_its_beginning_and_its_middle(tmp_path):
    (tmp_path / "a.csv").write_text("n,t\n" + lines(5_000))
    sample = read(tmp_path, "a.csv")
    numbers = [int(number) for number in sample.frame["n"]]
    assert numbers[:50] == list(range(50))
    assert any(2_000 < number < 3_000 for number in numbers)
    assert sample.frame.height < 300
    assert sample.rows is None
    assert "a sample of" in str(sample)


@pytest.mark.usefixtures("small_limits")
def test_a_large_compressed_file_gives_its_beginning(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(
        gzip.compress(("n,t\n" + lines(5_000)).encode(), compresslevel=0)
    )
    sample = read(tmp_path, "a.csv.gz")
    assert sample.frame["n"].to_list()[:50] == [str(number) for number in range(50)]
    assert sample.frame.height < 200


@pytest.mark.usefixtures("small_limits")
def test_a_large_parquet_file_gives_its_beginning_and_its_middle(tmp_path):
    pl.DataFrame({"n": range(5_000)}).write_parquet(tmp_path / "a.parquet")
    numbers = read(tmp_path, "a.parquet").frame["n"].to_list()
    assert numbers[:50] == list(range(50))
    assert any(number >= 2_500 for number in numbers)
    assert len(numbers) < 100


@pytest.mark.usefixtures("small_limits")
def test_an_error_names_the_file_and_not_its_excerpt(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"n,t\n" + lines(5_000).encode())
    with pytest.raises(SourceError) as caught:
        read(tmp_path, "a.parquet")
    assert caught.value.where == "a.parquet"


def test_of_many_files_some_are_read_from_the_first_to_the_last(tmp_path):
    for number in range(30):
        (tmp_path / f"{number:02}.csv").write_text("n,t\n" + lines(2, start=number))
    for source in ("*.csv", str(tmp_path)):
        sample = read(tmp_path, source)
        assert sample.files == 30
        assert sample.rows is None
        assert {"0", "29"} <= set(sample.frame["n"])
        assert sample.frame.height == 16


def test_files_with_different_columns_are_one_sample(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("a,b\nx,y\n")
    sample = read(tmp_path, "a.parquet", "b.csv")
    assert sample.frame.to_dicts() == [{"a": "1", "b": None}, {"a": "x", "b": "y"}]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError) as caught:
        read(tmp_path, "missing.csv")
    assert caught.value.where == "missing.csv"
