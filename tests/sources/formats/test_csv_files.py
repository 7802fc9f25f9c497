"""CSV files: every row is read exactly, or kept as raw text, with its own number."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.errors import SeparatorError, SourceError
from backfill.sources.formats.csv_files import CsvFile, survey_csv
from backfill.sources.locations import Location

Rows = list[tuple[str | None, ...]]
SMALL_BLOCKS = st.integers(1, 60)


def read(
    content: bytes, directory: Path, *, separator: str = ",", block: int = 1 << 16, **options
) -> tuple[CsvFile, Rows]:
    """Survey and read; each row is its raw text, then its cells. The numbers are checked here."""
    path = directory / "file.csv"
    path.write_bytes(content)
    location = Location("file.csv", str(path), "csv", separator)
    file = survey_csv(location, str(path), block=block, **options)
    rows = [row for frame in file.frames(str(path)) for row in frame.rows()]
    assert [row[0] for row in rows] == list(range(1, file.rows + 1))
    assert all((raw is None) == (cause is None) for _, raw, cause, *_ in rows)
    return file, [(row[1], *row[3:]) for row in rows]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for a whole property: its examples overwrite one file."""
    return tmp_path_factory.mktemp("csv")


# --- fixed cases -----------------------------------------------------------------------------


def test_cells_are_text_and_empty_cells_are_missing(tmp_path):
    file, rows = read(b'id,phone,note\n00123,+972555000000,""\n,1e5, x \n', tmp_path)
    assert file.columns == ("id", "phone", "note")
    assert rows == [(None, "00123", "+972555000000", None), (None, None, "1e5", " x ")]


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (b"3,4,5", "3,4,5"),
        (b"3,4,", "3,4,"),
        (b"3,\xff\xfe", "3,\\xff\\xfe"),
        (b'3,"open', '3,"open'),
        (b'"3"x,4', '"3"x,4'),
        (b'3,"a" ', '3,"a" '),
        (b'"3",4","', '"3",4","'),
        (b"a,b", "a,b"),
        (b'3,"two\nlines",5', '3,"two\nlines",5'),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_a_malformed_row_keeps_its_text_and_harms_no_other(tmp_path, line, raw, end, block):
    content = end.join([b"a,b", b"1,2", line, b'"5",6', b"7,8"])
    _, rows = read(content, tmp_path, block=block)
    assert rows == [
        (None, "1", "2"),
        (raw, None, None),
        (None, "5", "6"),
        (None, "7", "8"),
    ]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (b"3,4,5", "too many cells"),
        (b"3,\xff", "undecodable bytes"),
        (b"3,4,\xff", "undecodable bytes"),
        (b'3,"open', "broken quote"),
        (b'"3"x,4', "broken quote"),
        (b"a,b", "header again"),
        (b'"a",b', "header again"),
        (b"\xef\xbb\xbfa,b", "header again"),
        (b'\xef\xbb\xbf"a","b"', "header again"),
        (b"3," + b"x" * 300, "too long"),
        (b'"3","' + b"x" * 192 + b'"', "too long"),
    ],
)
@pytest.mark.parametrize("block", [7, 1 << 16])
def test_a_malformed_row_says_why_it_is_one(tmp_path, line, cause, block):
    path = tmp_path / "file.csv"
    path.write_bytes(b"\n".join([b"a,b", b"1,2", line, b"7,8"]))
    location = Location("file.csv", str(path), "csv", ",")
    file = survey_csv(location, str(path), block=block, reach=198)
    causes = [each for frame in file.frames(str(path)) for each in frame["__cause"]]
    assert causes == [None, cause, None]


@pytest.mark.parametrize("again", [b'a,"b\nc"\n', b'a,"b\r\nc"\r\n', b'"a","b\r\nc"\n'])
@pytest.mark.parametrize("first", [b'a,"b\nc"\n', b'a,"b\r\nc"\r\n'])
@pytest.mark.parametrize("block", [7, 1 << 16])
def test_a_header_of_several_lines_is_known_again_however_its_lines_end(
    tmp_path, first, again, block
):
    file, rows = read(first + b"1,2\n" + again + b'3,"4\nc"\n', tmp_path, block=block)
    assert file.rows == 3
    assert [row[0] is None for row in rows] == [True, False, True]


def test_a_quote_that_is_never_closed_costs_one_line_not_the_rest(tmp_path):
    lines = [b"a,b", *(b"%d,x" % number for number in range(1, 2000))]
    lines[500] = b'500,"x'
    _, rows = read(b"\n".join(lines), tmp_path, block=1000, reach=3000)
    assert len(rows) == 1999
    assert rows[499] == ('500,"x', None, None)
    assert [row[1] for row in rows if row[0] is None] == [
        str(number) for number in range(1, 2000) if number != 500
    ]


@pytest.mark.parametrize("taken", ["malformed-row-0-0", "malformed-row-0-, malformed-row-1-"])
def test_a_cell_that_reads_like_the_mark_of_a_malformed_row_is_text(tmp_path, taken):
    _, rows = read(f'a,b\n"{taken}",1\n3,"open\n'.encode(), tmp_path)
    assert rows == [(None, taken, "1"), ('3,"open', None, None)]


def test_a_quoted_cell_longer_than_a_row_may_be_is_a_broken_quote(tmp_path):
    content = b'a,b\n1,"' + b"x" * 200 + b'\n"\n2,y\n'
    _, rows = read(content, tmp_path, reach=100)
    assert rows[0][0] is not None
    assert rows[-1] == (None, "2", "y")
    _, rows = read(content, tmp_path, reach=300)
    assert rows == [(None, "1", "x" * 200 + "\n"), (None, "2", "y")]


_PIECES = st.sampled_from([b"a", b",", b'"', b"\n", b"\r\n", b"\xff", "ü".encode(), b"x" * 60])


@settings(deadline=None, max_examples=60)
@given(st.lists(_PIECES, max_size=25).map(b"".join), SMALL_BLOCKS)
def test_a_row_that_is_too_long_is_malformed_wherever_the_text_is_cut(directory, body, block):
    content = b"c,d\n" + body
    _, whole = read(content, directory, reach=50)
    assert read(content, directory, reach=50, block=block)[1] == whole
    assert not any(len(cell.encode()) > 50 for row in whole for cell in row[1:] if cell)


def test_of_a_line_that_is_too_long_only_its_beginning_is_kept(tmp_path):
    content = b"a,b\n1,2\n\xffy" + "ü".encode() * 100_000 + b"\n3,4\n" + b"z" * 5_000
    for block in (100, 4_000, 1 << 20):
        file, rows = read(content, tmp_path, reach=1_000, block=block)
        assert [row[1:] for row in rows] == [("1", "2"), (None, None), ("3", "4"), (None, None)]
        raw = rows[1][0]
        assert raw is not None
        assert raw.startswith("\\xffyüüü")
        assert raw.endswith("ü")
        assert 65_530 <= len(raw.encode()) <= 65_536
        assert rows[3][0] == "z" * 5_000
        assert file.size == len(content)


def test_a_quote_inside_a_bare_cell_is_text(tmp_path):
    _, rows = read(b'a,b\n5" pipe,a"b"c\n1,2\n', tmp_path)
    assert rows == [(None, '5" pipe', 'a"b"c'), (None, "1", "2")]


def test_a_carriage_return_inside_a_row_is_text(tmp_path):
    _, rows = read(b"a,b\nx\r,y\r\r\n1,2\n", tmp_path)
    assert rows == [(None, "x\r", "y\r"), (None, "1", "2")]


def test_a_row_with_fewer_cells_lacks_the_last_ones(tmp_path):
    _, rows = read(b"a,b,c\n1\n2,3\n", tmp_path)
    assert rows == [(None, "1", None, None), (None, "2", "3", None)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_blank_line_is_no_row(tmp_path, end):
    content = end.join([b"", b"a,b", b"", b"1,2", b"", b"", b'"3\n\n4",5', b"", b""])
    _, rows = read(content, tmp_path)
    assert rows == [(None, "1", "2"), (None, "3\n\n4", "5")]


def test_a_blank_line_is_a_missing_cell_where_there_is_one_column(tmp_path):
    _, rows = read(b"a\n1\n\n3\n", tmp_path)
    assert rows == [(None, "1"), (None, None), (None, "3")]


@pytest.mark.parametrize("content", [b"a,b\n", b"a,b", b"a,b\r\n", b"\xef\xbb\xbfa,b\n\n"])
def test_a_header_alone_gives_no_rows(tmp_path, content):
    file, rows = read(content, tmp_path)
    assert (file.columns, rows) == (("a", "b"), [])


def test_a_byte_order_mark_belongs_to_no_column(tmp_path):
    file, rows = read(b'\xef\xbb\xbf"a",b\n1,\xef\xbb\xbf2\n', tmp_path)
    assert file.columns == ("a", "b")
    assert rows == [(None, "1", "\ufeff2")]


@pytest.mark.parametrize("separator", list(";\t|-^\\] .*a0"))
def test_any_separator_separates(tmp_path, separator):
    lines = ["X{0}Y", "1{0}", '"{0}"{0}"2"', "3{0}3{0}3", '"4{0}4', '5{0}5" "']
    content = "\n".join(line.replace("{0}", separator) for line in lines).encode()
    _, rows = read(content, tmp_path, separator=separator)
    assert rows == [
        (None, "1", None),
        (None, separator, "2"),
        (f"3{separator}3{separator}3", None, None),
        (f'"4{separator}4', None, None),
        (None, "5", '5" "') if separator != " " else (lines[5].replace("{0}", " "), None, None),
    ]


def test_null_values_are_missing(tmp_path):
    _, rows = read(b'a,b\nNA,"-"\nNAN,--\n', tmp_path, null_values=("NA", "-"))
    assert rows == [(None, None, None), (None, "NAN", "--")]


@pytest.mark.parametrize("encoding", ["windows-1255", "utf-16", "utf-16-le", "latin-1", "cp932"])
def test_text_in_a_named_encoding_is_read(tmp_path, encoding):
    word = {"windows-1255": "שלם", "latin-1": "né", "cp932": "日本"}.get(encoding, "שלם😀")
    text = f'{word},b\r\n{word},"1\n""2"""\r\n'
    file, rows = read(text.encode(encoding), tmp_path, encoding=encoding, block=5)
    assert file.columns == (word, "b")
    assert rows == [(None, word, '1\n"2"')]


def test_bytes_that_the_named_encoding_does_not_know_make_one_row_malformed(tmp_path):
    content = "a,b\nשלם,1\n".encode("windows-1255") + b"x\xd9,2\n" + b"y,3\n"
    _, rows = read(content, tmp_path, encoding="windows-1255")
    assert rows == [(None, "שלם", "1"), ("x\\xd9,2", None, None), (None, "y", "3")]


def test_a_column_without_a_name_is_called_after_its_place(tmp_path):
    file, _ = read(b",a,\n0,1,2\n", tmp_path)
    assert file.columns == ("column_1", "a", "column_3")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("block", [7, 1 << 16])
def test_titles_above_the_header_are_no_rows(tmp_path, encoding, block):
    text = "Export of contacts, 2024-03-01\n\na,b,c\n1,2,3\na,b,c\n4,5,6\n"
    file, rows = read(text.encode(encoding), tmp_path, block=block, encoding=encoding)
    assert (file.columns, file.titles) == (("a", "b", "c"), ("Export of contacts, 2024-03-01",))
    assert rows == [(None, "1", "2", "3"), ("a,b,c", None, None, None), (None, "4", "5", "6")]


@pytest.mark.parametrize("separator", [";", "|", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_header_with_another_separator_is_named(tmp_path, separator, end):
    content = f'"Id"{separator}"Last, first"{separator}"Na""me"{end}"1"{separator}"2"{separator}"3"'
    with pytest.raises(SeparatorError) as raised:
        read(content.encode(), tmp_path)
    assert raised.value.separator == separator
    assert f"separator = {json.dumps(separator)}" in str(raised.value)
    file, rows = read(content.encode(), tmp_path, separator=separator)
    assert file.columns == ("Id", "Last, first", 'Na"me')
    assert rows == [(None, "1", "2", "3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b'"a"x;"b"\n', "no header"),
        (b"\n\r\n", "empty"),
        (b"a,b,a,a (column 1)\n1,2,3,4\n", r"two columns are named 'a \(column 1\)'"),
        (b'"a,b\n1,2\n', "no header"),
        (b"a,b\r1,2\r3,4\r", "carriage returns"),
        (b"a\x00\x01\x02,b\n", "no header"),
        (b"a,\xe9\n1,2\n", "no header"),
        (b"PAR1\x15\x00", "Parquet"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04", "ZIP"),
        ("a,b\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_that_is_no_csv_is_named(tmp_path, content, message):
    with pytest.raises(SourceError, match=message) as raised:
        read(content, tmp_path)
    assert raised.value.where == "file.csv"


def test_columns_that_share_a_name_are_told_apart_by_their_places(tmp_path):
    file, rows = read(b"a,b,a,\n1,2,3,4\n", tmp_path)
    assert file.columns == ("a (column 1)", "b", "a (column 3)", "column_4")
    assert rows == [(None, "1", "2", "3", "4")]


@pytest.mark.parametrize("now", [b"a,b\n1,2\n", b"a,b\n", b"a,b\n1,2\n3,\n\n"])
@pytest.mark.parametrize("then", [b"a,b\n1,2\n3,4\n", b"a,b\n1,2\n3,4"])
def test_a_file_that_changed_after_its_survey_is_not_read_as_if_it_had_not(tmp_path, then, now):
    file, _ = read(then, tmp_path)
    path = tmp_path / "file.csv"
    path.write_bytes(now)
    with pytest.raises(SourceError, match="changed"):
        list(file.frames(str(path)))


# --- properties ------------------------------------------------------------------------------

CELL = st.text(
    st.one_of(
        st.sampled_from(list("\"',;\t|\n\r ab0é\U0001f600\x00\ufeff\x85\u2028")),
        st.characters(codec="utf-8"),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(
    table=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=8).map(
            lambda rows: (width, rows)
        )
    ),
    separator=st.sampled_from(",;\t|"),
    form=st.sampled_from(
        [("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]
    ),
    block=SMALL_BLOCKS,
)
def test_what_pythons_writer_writes_is_read_back_equal(directory, table, separator, form, block):
    width, rows = table
    end, quoting = form
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([[f"column {i}" for i in range(width)], *rows])
    content = buffer.getvalue().encode()
    again = list(csv.reader(io.StringIO(buffer.getvalue(), newline=""), delimiter=separator))
    assert again[1:] == rows
    expected = [(None, *(cell or None for cell in row)) for row in rows]
    for size in (block, 1 << 16):
        assert read(content, directory, separator=separator, block=size)[1] == expected


SAFE_CELL = st.text('abc,"\n\r é\U0001f600', max_size=8).map(lambda text: "x" + text)
FAULTS = {
    "a cell too many": b'7,"y",z,',
    "no text": b"7,\xff\xc3,z",
    "never closed": b'7,y,"z',
    "text after a quote": b'"7"7,y',
    "the header again": b"id,one,two",
    "the header in quotes": b'"id",one,"two"',
    "the header of another file": b'\xef\xbb\xbf"id","one","two"',
}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.one_of(st.tuples(SAFE_CELL, SAFE_CELL), st.sampled_from(sorted(FAULTS))), max_size=12
    ),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    block=SMALL_BLOCKS,
)
def test_faults_harm_no_row_but_their_own(directory, rows, quoting, block):
    """Cells begin with a letter here, so no quote of theirs can close one that a fault opened."""
    lines = [b"id,one,two\r\n"]
    expected: list[tuple[str | None, ...]] = []
    for number, row in enumerate(rows):
        if isinstance(row, str):
            raw = FAULTS[row]
            lines.append(raw + b"\r\n")
            expected.append((raw.decode(errors="backslashreplace"), None, None, None))
        else:
            buffer = io.StringIO(newline="")
            csv.writer(buffer, quoting=quoting).writerow([f"id-{number}", *row])
            lines.append(buffer.getvalue().encode())
            expected.append((None, f"id-{number}", *row))
    for size in (block, 1 << 16):
        assert read(b"".join(lines), directory, block=size)[1] == expected


def reference(text: str, width: int, header: str) -> Rows:
    """The grammar once more, character by character and without any speed."""
    if text and not text.endswith("\n"):
        text += "\n"
    rows: Rows = []
    start = 0
    while start < len(text):
        cells, end = _reference_row(text, start)
        if cells is None:
            end = text.index("\n", start) + 1
        raw = text[start : end - 1].removesuffix("\r")
        start = end
        if raw == "" and width > 1:
            continue
        unmarked, _ = _reference_row(raw.removeprefix("\ufeff") + "\n", 0)
        if cells is None or len(cells) > width or unmarked == header.split(","):
            rows.append((raw, *[None] * width))
        else:
            missing: list[str | None] = [None] * (width - len(cells))
            rows.append((None, *(cell or None for cell in cells), *missing))
    return rows


def _reference_row(text: str, at: int) -> tuple[list[str] | None, int]:
    cells = []
    while True:
        cell = ""
        if text[at] == '"':
            at += 1
            while not (text[at : at + 1] == '"' and text[at + 1 : at + 2] != '"'):
                if at >= len(text):
                    return None, at
                cell += text[at]
                at += 2 if text[at] == '"' else 1
            at += 2 if text[at + 1 : at + 3] == "\r\n" else 1
            if text[at] not in ",\n":
                return None, at
        else:
            while text[at] not in ",\n":
                cell += text[at]
                at += 1
            if text[at] == "\n":
                cell = cell.removesuffix("\r")
        cells.append(cell)
        at += 1
        if text[at - 1] == "\n":
            return cells, at


HEADERS = ("\ufeff", '"x"', '\ufeffx,"y"\r\n', '"x",y,z\n')


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 3),
    pieces=st.lists(
        st.sampled_from(
            [*('"', ",", "\n", "\r", "a", "é", "\r\n", '""', '",', ',"', "x,y\n"), *HEADERS]
        ),
        max_size=40,
    ),
    block=SMALL_BLOCKS,
)
def test_any_text_is_read_as_the_grammar_says_whatever_the_block_size(
    directory, width, pieces, block
):
    text = "".join(pieces)
    header = ",".join("xyz"[:width])
    content = f"{header}\n{text}".encode()
    for size in (block, 1 << 16):
        assert read(content, directory, block=size)[1] == reference(text, width, header)


@pytest.mark.parametrize("block", [1, 1 << 16])
@pytest.mark.parametrize("first", ["x^2", "x\x01", "\ufeffa", "x"])
def test_text_that_begins_like_something_else_stays_as_it_stands(directory, first, block):
    """Polars takes `x^` for compressed bytes, and leaves out a byte order mark."""
    content = f"x,y\n{first},1\n{first},2\n".encode()
    assert read(content, directory, block=block)[1] == [(None, first, "1"), (None, first, "2")]


@pytest.mark.parametrize("magic", [b"\x1f\x8b\x00", b"x\x9c", b"(\xb5/\xfd"])
def test_bytes_that_begin_like_compressed_ones_are_a_malformed_row(directory, magic):
    rows = read(b"x,y\n" + magic + b",1\na,2\n", directory)[1]
    assert [row[0] is None for row in rows] == [False, True]
    assert rows[1] == (None, "a", "2")


@settings(max_examples=80, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.lists(
            st.sampled_from([b'"', b",", b"\n", b"a", b"\xff", b"\xc3", b"\xa9", b"\\x", b"\x00"]),
            max_size=40,
        ).map(b"".join),
    ),
    block=SMALL_BLOCKS,
)
def test_any_bytes_give_the_same_rows_whatever_the_block_size(directory, content, block):
    content = b"x,y\n" + content
    assert read(content, directory, block=block)[1] == read(content, directory)[1]


def test_each_frame_is_one_chunk(tmp_path):
    """Texts are gathered slowly from several, which Polars' reader leaves behind."""
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n" + b"a longer text than thirteen,y\n" * 5_000)
    assert pl.read_csv(path.read_bytes()).n_chunks() > 1
    file = survey_csv(Location("file.csv", str(path), "csv", ","), str(path))
    assert {n for frame in file.frames(str(path)) for n in frame.n_chunks("all")} == {1}
