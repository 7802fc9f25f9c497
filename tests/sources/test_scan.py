"""The door: every row of every file, once, in order, with its file and its number."""

from __future__ import annotations

import gzip
import sys
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.sources.formats.malformed_causes import CAUSES
from backfill.sources.scan import Source, open_source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def opened(directory: Path, *names: str, **options) -> Source:
    return open_source(Files(files=names, **options), directory, what="events")


def rows(source: Source) -> list[tuple[object, ...]]:
    """All rows by file and number, collected by both engines, which must agree."""
    frame = source.scan().collect(engine="streaming")
    assert frame.schema == {
        "__file": pl.UInt32,
        "__row": pl.UInt64,
        "__raw": pl.String,
        "__cause": CAUSES,
        **source.schema,
    }
    assert frame.equals(source.scan().collect(engine="in-memory"))
    for _, part in frame.group_by("__file"):
        assert part["__row"].to_list() == list(range(1, part.height + 1))
    assert frame.height == source.rows == sum(entry.rows for entry in source.entries)
    return frame.drop("__cause").sort("__file", "__row").rows()


def test_files_of_every_format_are_one_frame(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n1,2\n3,4,5\n")
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"x\tid\r\n7\t6\r\n"))
    (tmp_path / "c.jsonl.zst").write_bytes(zstd.compress(b'{"id":8,"y":true}\n'))
    pl.DataFrame({"x": ["9"], "id": ["0"]}).write_parquet(tmp_path / "d.parquet")
    source = opened(tmp_path, "*")
    assert source.columns == ("id", "x", "y")
    assert rows(source) == [
        (0, 1, None, "1", "2", None),
        (0, 2, "3,4,5", None, None, None),
        (1, 1, None, "6", "7", None),
        (2, 1, None, "8", None, "true"),
        (3, 1, None, "0", "9", None),
    ]


def test_compressed_members_one_after_another_are_one_text(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n1\n") + gzip.compress(b"2\n"))
    (tmp_path / "b.csv.zst").write_bytes(zstd.compress(b"a\n3\n") + zstd.compress(b"4\n"))
    assert [row[-1] for row in rows(opened(tmp_path, "*"))] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_a_compressed_file_that_breaks_off_is_named(tmp_path, pack):
    name = f"a.csv.{'gz' if pack is gzip.compress else 'zst'}"
    content = "".join(f"{number},{number * 7919}\n" for number in range(50_000)).encode()
    packed = pack(b"a,b\n" + content)
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match="cannot be read") as raised:
        opened(tmp_path, name)
    assert raised.value.where == name


def test_our_own_columns_are_dropped_so_that_records_can_be_fed_back(tmp_path):
    ours = "_file,_row,_state,_reason,_http_status,_request_id,_raw"
    (tmp_path / "a.csv").write_text(f"{ours},id\nx.csv,7,rejected,id|uuid,,,,u1\n")
    source = opened(tmp_path, "a.csv")
    assert source.columns == ("id",)
    assert rows(source) == [(0, 1, None, "u1")]


def test_places_of_kept_rows_are_dropped_so_that_duplicates_can_be_fed_back(tmp_path):
    (tmp_path / "a.csv").write_text("_file,_row,_kept_file,_kept_row,_kept_job,id\nx,7,x,1,,u1\n")
    assert opened(tmp_path, "a.csv").columns == ("id",)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16"])
def test_records_are_read_as_they_were_written_however_their_source_was(tmp_path, mark, encoding):
    ours = "_file,_row,_state,_reason,_http_status,_request_id"
    text = f"{mark}{ours},id,sum\na.csv,1,failed,,,,u1,445 €\n"
    (tmp_path / "mended.csv").write_text(text, encoding="utf-8")
    section = Files(files=("mended.csv",), separator=";", encoding=encoding)
    source = open_source(section, tmp_path, what="events")
    assert rows(source) == [(0, 1, None, "u1", "445 €")]


def test_records_as_ndjson_are_read_as_they_were_written(tmp_path):
    (tmp_path / "mended.ndjson").write_text('{"_file":"a.csv","_row":1,"sum":"445 €"}\n', "utf-8")
    assert rows(opened(tmp_path, "mended.ndjson", encoding="windows-1252")) == [
        (0, 1, None, "445 €")
    ]


@pytest.mark.parametrize("name", ["__file", "__row", "__raw", "__cause", "__at", "__record"])
def test_a_reserved_column_is_refused(tmp_path, name):
    (tmp_path / "a.csv").write_text(f"id,{name}\n1,2\n")
    with pytest.raises(SourceError, match=name):
        opened(tmp_path, "a.csv")


def test_columns_of_all_files_stand_in_order_of_first_appearance(tmp_path):
    (tmp_path / "1.csv").write_text("b,a\n1,2\n")
    (tmp_path / "2.csv").write_text("c,a\n3,4\n")
    (tmp_path / "3.csv").write_text("a\n")
    source = opened(tmp_path, "*.csv")
    assert source.columns == ("b", "a", "c")
    assert rows(source) == [(0, 1, None, "1", "2", None), (1, 1, None, None, "4", "3")]


def test_parquet_types_stay_and_differing_ones_meet(tmp_path):
    at = datetime(2024, 5, 6, 7, 8)  # noqa: DTZ001 - a time without a zone is the case
    pl.DataFrame(
        {"n": [1, None], "at": [at, None], "l": [[1], None], "s": [{"a": 1}, None]},
        schema_overrides={"n": pl.Int32},
    ).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"n": [2**40], "s": [{"b": "x"}]}).write_parquet(tmp_path / "b.parquet")
    (tmp_path / "c.csv").write_text("at\n2024\n")
    source = opened(tmp_path, "*")
    assert source.schema["n"] == pl.Int64
    assert source.schema["l"] == pl.List(pl.Int64)
    assert [row[3:] for row in rows(source)] == [
        (1, "2024-05-06T07:08:00", [1], {"a": 1, "b": None}),
        (None, None, None, None),
        (2**40, None, None, {"a": None, "b": "x"}),
        (None, "2024", None, None),
    ]


def test_long_ids_of_one_parquet_file_and_fractions_of_another_lose_no_digit(tmp_path):
    ids = [123456789012345678, 123456789012345679]
    pl.DataFrame({"id": ids, "user": [{"id": each} for each in ids]}).write_parquet(
        tmp_path / "a.parquet"
    )
    pl.DataFrame({"id": [7.0], "user": [{"id": 7.0}]}).write_parquet(tmp_path / "b.parquet")
    pl.DataFrame({"id": [7], "user": [{"id": 7}]}).write_parquet(tmp_path / "c.parquet")
    (tmp_path / "d.ndjson").write_text('{"id":7.0,"user":{"id":7.0}}\n')
    texts = [*map(str, ids), "7", "7", "7"]
    found = rows(opened(tmp_path, "*"))
    assert sorted(row[3:] for row in found) == [(text, {"id": text}) for text in texts]


def test_numbers_inside_of_lines_are_fractions_across_files_where_these_hold_them(tmp_path):
    (tmp_path / "a.ndjson").write_text('{"cart":{"sum":5}}\n')
    (tmp_path / "b.ndjson").write_text('{"cart":{"sum":5.5}}\n')
    source = opened(tmp_path, "*")
    assert source.schema["cart"] == pl.Struct({"sum": pl.Float64()})
    assert [row[3] for row in rows(source)] == [{"sum": 5.0}, {"sum": 5.5}]
    assert opened(tmp_path, "a.*").schema["cart"] == pl.Struct({"sum": pl.Int64()})
    (tmp_path / "c.ndjson").write_text('{"cart":{"sum":123456789012345678}}\n')
    source = opened(tmp_path, "*")
    texts = ["5", "5.5", "123456789012345678"]
    assert [row[3] for row in rows(source)] == [{"sum": text} for text in texts]


def test_a_file_of_lines_without_a_value_says_nothing_of_the_shape_in_others(tmp_path):
    (tmp_path / "a.ndjson").write_text('{"id":1,"cart":null,"note":null}\n')
    (tmp_path / "b.ndjson").write_text('{"id":2,"cart":{"sum":5}}\n')
    source = opened(tmp_path, "*")
    assert dict(source.schema) == {
        "id": pl.String(),
        "cart": pl.Struct({"sum": pl.Int64()}),
        "note": pl.String(),
    }
    assert [row[3:] for row in rows(source)] == [("1", None, None), ("2", {"sum": 5}, None)]


def test_hive_partitions_are_columns_of_every_format(tmp_path):
    for folder in ("day=2024-01-01", "day=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "a.csv").write_text("id\n1\n")
        pl.DataFrame({"id": ["2"]}).write_parquet(tmp_path / "in" / folder / "b.parquet")
    source = opened(tmp_path, "in", hive=True)
    assert source.columns == ("id", "day")
    assert [row[3:] for row in rows(source)] == [
        ("1", "2024-01-01"),
        ("2", "2024-01-01"),
        ("1", None),
        ("2", None),
    ]
    assert opened(tmp_path, "in").columns == ("id",)


def test_a_frame_can_be_cut_filtered_and_projected(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n" + "".join(f"{i},{i % 3}\n" for i in range(100)))
    (tmp_path / "b.csv").write_text("id\n100\n")
    scan = opened(tmp_path, "a.csv", "b.csv").scan()
    assert scan.select(pl.len()).collect().item() == 101
    assert scan.filter(pl.col("x") == "0").select("__row").head(2).collect().rows() == [(1,), (4,)]
    assert scan.head(4).filter(pl.col("x") == "0").select("id").collect().rows() == [("0",), ("3",)]
    assert scan.head(3).select("id").collect().rows() == [("0",), ("1",), ("2",)]
    assert scan.filter(pl.col("__file") == 1).select("id", "__row").collect().rows() == [("100", 1)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"", "empty"),
        ("a.parquet", b"id,x\n1,2\n", "no Parquet"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"PAR1\x15\x04", "Parquet"),
        ("a.csv", gzip.compress(b"id\n1\n", mtime=0), "gzip"),
        ("a.csv.gz", b"id\n1\n", "not gzip"),
        ("a.csv.zst", b"id\n1\n", "not zstd"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "empty"),
        ("a.ndjson", b"", "empty"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_named(tmp_path, name, content, message):
    (tmp_path / "good.csv").write_text("id\n1\n")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as raised:
        opened(tmp_path, "good.csv", name)
    assert raised.value.where == name


def test_a_workbook_that_is_said_to_be_parquet_is_named(tmp_path):
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(SourceError, match="is an Excel workbook") as raised:
        opened(tmp_path, "book.xlsx", format="parquet")
    assert raised.value.where == "book.xlsx"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_parquet_file_that_is_cut_short_is_named(tmp_path, share):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"id": range(10_000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SourceError, match="cut short") as raised:
        opened(tmp_path, "a.parquet")
    assert "fetch or copy it again" in str(raised.value.hint)
    assert raised.value.where == "a.parquet"


def test_headers_alone_are_a_source_without_rows(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n")
    pl.DataFrame(schema={"y": pl.Int64}).write_parquet(tmp_path / "b.parquet")
    source = opened(tmp_path, "*")
    assert source.columns == ("id", "x", "y")
    assert rows(source) == []


def test_progress_runs_from_nothing_to_all_bytes(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    pl.DataFrame({"id": ["2"]}).write_parquet(tmp_path / "b.parquet")
    told: list[tuple[str, int, int | None]] = []
    open_source(
        Files(files="*"), tmp_path, what="contacts", progress=lambda *each: told.append(each)
    )
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert {phase for phase, _, _ in told} == {"reading contacts"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1:] == (total, total)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_many_small_files_are_opened_and_read(tmp_path, form):
    for number in range(500):
        frame = pl.DataFrame({"id": [str(number)] * (number % 3)}, schema={"id": pl.String})
        getattr(frame, f"write_{form}")(tmp_path / f"{number:03}.{form}")
    frame = opened(tmp_path, "*").scan().collect(engine="streaming")
    expected = [(number, row) for number in range(500) for row in range(1, number % 3 + 1)]
    names = sorted(str(path.stem) for path in tmp_path.iterdir())
    assert frame.select("__file", "__row").rows() == sorted(
        (names.index(f"{number:03}"), row) for number, row in expected
    )
    assert frame["id"].to_list() == [str(int(names[file])) for file in frame["__file"]]


@settings(max_examples=25, deadline=None)
@given(
    tables=st.lists(
        st.tuples(
            st.sampled_from(["csv", "ndjson", "parquet"]),
            st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True),
            st.integers(1, 3),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_mixture_of_files_gives_every_row_once_in_order(tmp_path_factory, tables):
    directory = tmp_path_factory.mktemp("mixture")
    expected = []
    for index, (form, columns, height) in enumerate(tables):
        frame = pl.DataFrame(
            {name: [f"{index}{name}{row}" for row in range(height)] for name in columns}
        )
        path = directory / f"{index}.{form}"
        getattr(frame, f"write_{form}")(path)
        expected += [
            (index, row + 1, {name: f"{index}{name}{row}" for name in columns})
            for row in range(height)
        ]
    source = opened(directory, "*")
    assert rows(source) == [
        (index, number, None, *(cells.get(name) for name in source.columns))
        for index, number, cells in expected
    ]
