"""Ranges: every row in one of them, with the number and the values that it has in the whole."""

from __future__ import annotations

import gzip
import pickle
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.config.sources import Files
from backfill.core.errors import SourceError
from backfill.sources.file_columns import Opened
from backfill.sources.formats.csv_files import CsvFile, survey_csv
from backfill.sources.formats.ndjson_files import NdjsonFile, survey_ndjson
from backfill.sources.ranges import Range
from backfill.sources.scan import Source, open_source

COUNTS = st.integers(1, 9)


def opened(directory: Path, *names: str, block: int | None = None, **options) -> Source:
    """A source; of text files surveyed anew in blocks of so many bytes."""
    source = open_source(Files(files=names, **options), directory, what="events")
    if block is None:
        return source
    files: list[Opened] = []
    for file, path in zip(source._files, source._paths, strict=True):
        match file:
            case CsvFile():
                again = survey_csv(file.location, path, encoding=file.encoding, block=block)
                files.append(again)
            case NdjsonFile():
                files.append(survey_ndjson(file.location, path, block=block))
            case _:
                files.append(file)
    return replace(source, _files=tuple(files))


def sent(source: Source, count: int) -> tuple[Source, list[Range]]:
    """What another process gets of a source."""
    content = pickle.dumps((source.outline(), source.ranges(count)))
    outline, ranges = pickle.loads(content)  # noqa: S301 - our own
    return outline, ranges


def in_ranges(source: Source, count: int) -> pl.DataFrame:
    outline, ranges = sent(source, count)
    assert len(ranges) <= count
    frames = [outline.scan(each).collect(engine="streaming") for each in ranges]
    assert [frame.height for frame in frames] == [each.rows for each in ranges]
    return pl.concat(frames).sort("__file", "__row")


def whole(source: Source) -> pl.DataFrame:
    return source.scan().collect().sort("__file", "__row")


NASTY = st.text(alphabet='ab,"\n\r \N{EURO SIGN}\ufeff', max_size=120)


@settings(max_examples=30, deadline=None)
@given(text=NASTY, marked=st.booleans(), count=COUNTS, block=st.integers(1, 40))
def test_ranges_of_a_csv_are_its_rows_wherever_it_is_cut(text, marked, count, block):
    content = ("\ufeff" if marked else "") + "x,y\n" + text
    with TemporaryDirectory() as directory:
        (Path(directory) / "a.csv").write_bytes(content.encode())
        source = opened(Path(directory), "a.csv", block=block)
        assert in_ranges(source, count).equals(whole(source))


LINES = st.lists(
    st.sampled_from(['{"x": 1}', '{"x": {"y": [1.5]}}', '{"x": "\N{EURO SIGN}"}', "no", "", "[1]"])
)


@settings(max_examples=20, deadline=None)
@given(lines=LINES, count=COUNTS, block=st.integers(1, 60))
def test_ranges_of_ndjson_are_its_rows_wherever_it_is_cut(lines, count, block):
    with TemporaryDirectory() as directory:
        (Path(directory) / "a.ndjson").write_text("\n".join(['{"x": "first"}', *lines]))
        source = opened(Path(directory), "a.ndjson", block=block)
        assert in_ranges(source, count).equals(whole(source))


@settings(max_examples=30, deadline=None)
@given(
    heights=st.lists(st.integers(0, 50), min_size=1, max_size=4),
    group=st.integers(1, 60),
    count=COUNTS,
)
def test_ranges_of_parquet_are_its_rows_whatever_its_row_groups(heights, group, count):
    with TemporaryDirectory() as directory:
        for number, height in enumerate(heights):
            frame = pl.DataFrame({"x": range(height)}, schema={"x": pl.Int64})
            frame.write_parquet(Path(directory) / f"{number}.parquet", row_group_size=group)
        source = opened(Path(directory), "*.parquet")
        assert in_ranges(source, count).equals(whole(source))
        sizes = [each.rows for each in source.ranges(count)]
        assert max(sizes) - min(sizes) <= 1 or sum(sizes) < count


def test_files_of_every_format_are_shared_out(tmp_path):
    rows = "".join(f"{n},{n % 7}\n" for n in range(500))
    (tmp_path / "a.csv").write_text("id,x\n" + rows)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(f"id,x\n{rows}".encode()))
    (tmp_path / "c.ndjson").write_text('{"id":8,"y":true}\n' * 300)
    (tmp_path / "day=1").mkdir()
    pl.DataFrame({"x": ["9"] * 700, "id": ["0"] * 700}).write_parquet(tmp_path / "day=1/d.parquet")
    source = opened(tmp_path, "*.*", "day=1", block=64, hive=True)
    assert in_ranges(source, 5).equals(whole(source))
    portions = [each.rows for each in source.ranges(5)]
    assert sum(portions) == 2_000
    assert max(portions) < 800  # a packed file lies whole in one of them


@pytest.mark.parametrize("encoding", ["windows-1255", "utf-16"])
def test_a_file_in_another_encoding_is_not_cut(tmp_path, encoding):
    text = "x\n" + "\N{HEBREW LETTER ALEF}\n" * 400
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    source = opened(tmp_path, "a.csv", block=64, encoding=encoding)
    assert len(source.ranges(4)) == 1
    assert in_ranges(source, 4).equals(whole(source))


def test_rows_too_long_to_be_read_lie_in_ranges_too(tmp_path):
    lines = ["x", "a" * 300, "b", "c" * 300, "d"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    source = opened(tmp_path, "a.csv")
    file = source._files[0]
    short = survey_csv(file.location, source._paths[0], block=16, reach=100)
    source = replace(source, _files=(short,))
    assert [block.overlong for block in short.blocks].count(True) == 2
    assert in_ranges(source, 4).equals(whole(source))


def test_a_file_that_changed_is_noticed_in_its_range(tmp_path):
    (tmp_path / "a.csv").write_text("x\n" + "12345\n" * 100)
    outline, ranges = sent(opened(tmp_path, "a.csv", block=60), 4)
    (tmp_path / "a.csv").write_text("x\n" + "12345\n" * 70)
    with pytest.raises(SourceError, match=r"a\.csv: changed while it was read"):
        outline.scan(ranges[-1]).collect()


def test_what_is_sent_names_no_address(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    source = opened(tmp_path, "a.csv")
    address = "https://example.com/a.csv?signature=hush"
    location = replace(source._files[0].location, path=address, kept=address)
    entry = source.entries[0].model_copy(update={"path": address})
    source = replace(
        source, entries=(entry,), _files=(replace(source._files[0], location=location),)
    )
    assert b"hush" not in pickle.dumps((source.outline(), source.ranges(3)))


def test_a_source_without_rows_is_one_range(tmp_path):
    (tmp_path / "a.csv").write_text("x\n")
    source = opened(tmp_path, "a.csv")
    assert len(source.ranges(8)) == 1
    assert in_ranges(source, 8).equals(whole(source))
