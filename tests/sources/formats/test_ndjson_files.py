"""NDJSON files: scalars are text, shapes stay, and what is no object is a malformed row."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.text import as_text as as_sent
from backfill.core.errors import SourceError
from backfill.sources.formats.ndjson_files import NdjsonFile, survey_ndjson
from backfill.sources.locations import Location
from backfill.sources.schemas import MIXED


def read(
    content: bytes, directory: Path, *, block: int = 1 << 16, **options
) -> tuple[NdjsonFile, list[dict[str, Any]]]:
    """Survey and read; the row numbers are checked here and taken off."""
    path = directory / "file.ndjson"
    path.write_bytes(content)
    location = Location("file.ndjson", str(path), "ndjson")
    file = survey_ndjson(location, str(path), block=block, **options)
    rows = [row for frame in file.frames(str(path)) for row in frame.rows(named=True)]
    assert [row.pop("__row") for row in rows] == list(range(1, file.rows + 1))
    return file, rows


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ndjson")


@pytest.mark.parametrize("block", [4, 1 << 16])
def test_numbers_and_truth_values_are_text_with_all_their_digits(tmp_path, block):
    content = b'{"a":9007199254740993}\n{"a":0.1}\r\n\n{"a":true}\n{"a":"00123"}\n{"b":null}'
    file, rows = read(content, tmp_path, block=block)
    assert file.schema == {"a": pl.String, "b": pl.Null}
    assert [row["a"] for row in rows] == ["9007199254740993", "0.1", "true", "00123", None]


def test_lists_and_objects_keep_their_shape(tmp_path):
    file, rows = read(b'{"a":[1,2],"b":{"c":1}}\n{"b":{"d":"x"}}\n', tmp_path)
    assert file.schema["a"] == pl.List(pl.Int64)
    assert rows[1]["b"] == {"c": None, "d": "x"}


@pytest.mark.parametrize("block", [4, 1 << 16])
def test_in_a_column_of_single_and_nested_values_each_keeps_its_kind(tmp_path, block):
    lines = [[1], {"b": 1}, 2, "[1]", '{"b": 1}', None, "x", True]
    content = "".join(json.dumps({"a": each}) + "\n" for each in lines).encode()
    file, rows = read(content, tmp_path, block=block)
    assert file.schema["a"] == MIXED
    found = [row["a"] and tuple(row["a"].values()) for row in rows]
    nested = [found.pop(0)[1], found.pop(0)[1]]
    assert [json.loads(each) for each in nested] == [[1], {"b": 1}]
    texts = ["2", "[1]", '{"b": 1}', None, "x", "true"]
    assert found == [each and (each, None) for each in texts]


def test_a_whole_number_keeps_each_of_up_to_38_digits_and_one_too_long_is_malformed(tmp_path):
    digits = [10**38 - 1, -(10**38) + 1, 2**53 + 1, 2**64, 0, -7]
    content = "".join(f'{{"a":{each}}}\n' for each in digits)
    _, rows = read((content + '{"a":' + "1" * 40 + "}\n").encode(), tmp_path)
    assert [row["a"] for row in rows[:-1]] == [str(each) for each in digits]
    assert (rows[-1]["a"], rows[-1]["__raw"]) == (None, '{"a":' + "1" * 40 + "}")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False).filter(lambda each: each != 0), min_size=1
    )
)
def test_a_fraction_is_the_text_that_the_float_of_a_typed_file_is(directory, values):
    _, rows = read("".join(f'{{"a":{each!r}}}\n' for each in values).encode(), directory)
    typed = pl.DataFrame({"a": values}).select(
        as_sent(pl.col("a"), pl.Float64(), timezone=None).value
    )
    assert [row["a"] for row in rows] == typed.to_series().to_list()


@pytest.mark.parametrize("block", [4, 1 << 16])
@pytest.mark.parametrize("shape", ['{{"id":{}}}', "[{}]", '[{{"a":{{"id":[{}]}}}}]'])
def test_a_long_whole_number_inside_is_not_rounded_for_a_fraction_beside_it(tmp_path, block, shape):
    numbers = ["123456789012345678", "123456789012345679", "7.0", "0.5", "1" + "0" * 25]
    content = "".join(f'{{"user":{shape.format(each)}}}\n' for each in numbers).encode()
    _, rows = read(content, tmp_path, block=block)
    assert [row["user"] for row in rows] == [
        json.loads(shape.format(f'"{each.removesuffix(".0")}"')) for each in numbers
    ]


@pytest.mark.parametrize("block", [4, 1 << 16])
@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [
        (["5", "0", "-7"], pl.Int64()),
        (["123456789012345678", "5"], pl.Int64()),
        (["18446744073709551615", "5"], pl.Int128()),
        (["2.5", "0.1", "7.0"], pl.Float64()),
        (["2.5", "7", "-9007199254740991"], pl.Float64()),
        (["2.5", "-9007199254740993"], pl.String()),
        (["2.5", "9007199254740993"], pl.String()),
    ],
    ids=str,
)
def test_numbers_inside_can_be_calculated_with_where_one_type_holds_all_of_them(
    tmp_path, block, numbers, dtype
):
    content = "".join(f'{{"a":{{"n":{each}}}}}\n' for each in numbers).encode()
    file, rows = read(content, tmp_path, block=block)
    assert file.schema["a"] == pl.Struct({"n": dtype})
    expected = numbers if dtype == pl.String else [json.loads(each) for each in numbers]
    assert [row["a"]["n"] for row in rows] == expected


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.integers(-(2**100), 2**100)
        | st.integers(2**53 - 2, 2**53 + 2)
        | st.floats(-1e30, 1e30).filter(lambda each: each != 0),
        min_size=1,
    ),
    st.integers(1, 60),
)
def test_numbers_inside_are_the_same_in_blocks_of_any_size_and_none_changes(
    directory, numbers, block
):
    content = "".join(json.dumps({"a": {"n": each}}) + "\n" for each in numbers).encode()
    small, large = (read(content, directory, block=size) for size in (block, 1 << 16))
    assert small[0].schema == large[0].schema
    assert small[1] == large[1]
    for number, row in zip(numbers, large[1], strict=True):
        found = row["a"]["n"]
        assert (type(number)(found) if isinstance(found, str) else found) == number


@pytest.mark.parametrize("block", [20, 1 << 20])
def test_a_block_of_objects_without_names_says_nothing_of_those_that_have_some(tmp_path, block):
    """As of a column that only the first rows of an export fill."""
    content = b'{"p":{"channel":"web"}}\n' + b'{"p":{}}\n' * 5
    file, rows = read(content, tmp_path, block=block)
    assert file.schema == {"p": pl.Struct({"channel": pl.String})}
    assert [row["p"]["channel"] for row in rows] == ["web", *[None] * 5]
    file, _ = read(b'{"p":{}}\n', tmp_path, block=block)
    assert file.schema == {"p": MIXED}, "Parquet knows no object without names"


def test_lines_without_a_value_say_nothing_of_the_shape_that_others_have(tmp_path):
    content = b'{"a":null,"b":1}\n{"a":{"n":1},"b":2}\n{"b":3}\n{"a":null}\n'
    for block in (4, 1 << 16):
        file, _ = read(content, tmp_path, block=block)
        assert file.schema["a"] == pl.Struct({"n": pl.Int64()})


@pytest.mark.parametrize("block", [4, 1 << 16])
@pytest.mark.parametrize(
    "values",
    [
        [{"id": {"a": 1}}, {"id": "x"}],
        [{"id": {}}, {"id": "{}"}],
        [{"id": []}, {"id": "x"}],
        [{"id": ["x"]}, {"id": None}, {"id": "[x]"}],
        [[{"id": ['"\n\\']}], [{"id": "x"}]],
        [["x"], [["x"]]],
        [["x", {"a": [1]}]],
        [{"id": 5}, {"id": [5]}],
        [{"id": 5}, {"id": {"a": 5}}],
    ],
    ids=str,
)
def test_nested_values_whose_parts_are_of_two_kinds_are_kept_whole(tmp_path, block, values):
    content = "".join(json.dumps({"a": each}) + "\n" for each in values).encode()
    file, rows = read(content, tmp_path, block=block)
    assert file.schema["a"] == MIXED
    assert [row["a"]["__text"] for row in rows] == [None] * len(values)
    assert [json.loads(row["a"]["__nested"]) for row in rows] == values


@pytest.mark.parametrize("block", [4, 1 << 16])
def test_parts_that_look_like_json_are_texts(tmp_path, block):
    values = ["[1]", '{"b": 1}', "[]", "{}", "[deleted]", "x"]
    content = "".join(json.dumps({"a": {"n": [each]}}) + "\n" for each in values).encode()
    file, rows = read(content, tmp_path, block=block)
    assert file.schema["a"] == pl.Struct({"n": pl.List(pl.String())})
    assert [row["a"]["n"] for row in rows] == [[each] for each in values]


def test_texts_that_look_like_json_are_texts(tmp_path):
    file, rows = read(b'{"a":"[1]"}\n{"a":"{\\"b\\": 1}"}\n', tmp_path)
    assert file.schema["a"] == pl.String
    assert [row["a"] for row in rows] == ["[1]", '{"b": 1}']


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (b"nonsense", "nonsense"),
        (b"[1]", "[1]"),
        (b"null", "null"),
        (b'{"id":', '{"id":'),
        (b'{"id":1} {"id":2}', '{"id":1} {"id":2}'),
        (b'{"id":1e999}', '{"id":1e999}'),
        (b'{"id":NaN}', '{"id":NaN}'),
        (b'{"id":"\xff"}', '{"id":"\\xff"}'),
        (b'{"id":"\\ud800"}', '{"id":"\\ud800"}'),
    ],
)
@pytest.mark.parametrize("block", [4, 1 << 16])
def test_a_line_that_is_no_object_is_malformed_and_harms_no_other(tmp_path, line, raw, block):
    cause = "undecodable bytes" if b"\xff" in line else "no JSON object"
    content = b'{"id":"a","x":[1]}\n' + line + b'\r\n{"id":"\\ud83d\\ude00"}\n'
    _, rows = read(content, tmp_path, block=block)
    assert rows == [
        {"__raw": None, "__cause": None, "id": "a", "x": [1]},
        {"__raw": raw, "__cause": cause, "id": None, "x": None},
        {"__raw": None, "__cause": None, "id": "\U0001f600", "x": None},
    ]


@pytest.mark.parametrize("longest", [12, 1 << 16])
def test_a_byte_that_another_encoding_does_not_know_is_told_once(tmp_path, longest):
    """Also in a line that is too long to be read."""
    content = b'{"id":"\xe0"}\n{"id":"\xe0\xd9yyyyyy"}\n'
    _, rows = read(content, tmp_path, encoding="windows-1255", longest=longest)
    told = '{"id":"א\\xd9yyyyyy"}'
    assert [row["id"] for row in rows] == ["א", None]
    assert rows[1]["__raw"]
    assert told.startswith(rows[1]["__raw"])
    assert "\\xd9" in rows[1]["__raw"]


@pytest.mark.parametrize("line", [b"x^", b"x\x01", b"\x1f\x8b\x00"])
def test_a_first_line_that_begins_like_compressed_bytes_is_malformed(tmp_path, line):
    _, rows = read(line + b'\n{"id":"a"}\n', tmp_path)
    assert [row["id"] for row in rows] == [None, "a"]
    assert rows[0]["__raw"] is not None


def test_null_values_are_missing(tmp_path):
    _, rows = read(b'{"a":"NA","b":"NA "}\n', tmp_path, null_values=("NA",))
    assert rows == [{"__raw": None, "__cause": None, "a": None, "b": "NA "}]


@pytest.mark.parametrize("content", [b"", b"\n", b"[1]\n[2]\n", b"a,b\n1,2\n", b"{}\n"])
def test_a_file_without_any_object_is_named(tmp_path, content):
    with pytest.raises(SourceError) as raised:
        read(content, tmp_path)
    assert raised.value.where == "file.ndjson"


@pytest.mark.parametrize("block", [4, 1 << 16])
@pytest.mark.parametrize(
    "content",
    [
        b'[{"a":1},{"a":2}]',
        b'\n [{"a":1}]\n\n',
        b'[\n  {\n    "a": 1\n  }\n]\n',
        b'[{"a":1},\n{"a":2},\n{"a":3}\n]\n',
        b'[{"a":1},\n{"a":2}\n, {"a":3}]\n',
        b"[]",
    ],
)
def test_a_json_array_is_named_with_what_makes_lines_of_it(tmp_path, content, block):
    with pytest.raises(SourceError, match="is one JSON array") as raised:
        read(content, tmp_path, block=block)
    assert "jq -c '.[]'" in (raised.value.hint or "")


def test_a_page_of_results_is_named_with_what_makes_lines_of_its_list(tmp_path):
    page = {"object": "list", "data": [{"id": n} for n in range(3)]}
    with pytest.raises(SourceError) as raised:
        read(json.dumps(page, indent=1).encode(), tmp_path)
    assert "It is one object whose 'data' holds 3." in (raised.value.hint or "")
    assert "jq -c '.data[]'" in (raised.value.hint or "")


def test_a_first_line_that_is_an_array_or_broken_is_malformed_all_the_same(tmp_path):
    for line in (b'[{"a":1}]', b'[{"a":1},'):
        _, rows = read(line + b'\n{"a":[2]}\n{"a":[1]}\n', tmp_path)
        assert [row["a"] for row in rows] == [None, [2], [1]]


@pytest.mark.parametrize("good", [b'{"a":1}\n', b'{"a":1}\nbad\n'])
def test_a_reserved_name_is_refused(tmp_path, good):
    with pytest.raises(SourceError, match="__raw"):
        read(good + b'{"__raw":"x"}\n', tmp_path)


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(-(2**100), 2**100), TEXT)


def as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.one_of(
            st.dictionaries(st.sampled_from(["a", "b", "c"]), SCALAR),
            st.sampled_from(["{", "17", '{"a" 1}', "[{}]"]),
        ),
        max_size=10,
    ),
    ascii_only=st.booleans(),
    block=st.integers(1, 60),
)
def test_every_object_is_read_as_written_and_every_other_line_kept(
    directory, rows, ascii_only, block
):
    rows = [{"first": "x"}, *rows]
    lines = [
        row if isinstance(row, str) else json.dumps(row, ensure_ascii=ascii_only) for row in rows
    ]
    for size in (block, 1 << 16):
        file, found = read("\n".join(lines).encode(), directory, block=size)
        for row, got in zip(rows, found, strict=True):
            values = {} if isinstance(row, str) else row
            assert got["__raw"] == (row if isinstance(row, str) else None)
            assert (got["__cause"] is None) == (got["__raw"] is None)
            assert [got[name] for name in file.schema] == [
                as_text(values.get(name)) for name in file.schema
            ]


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 16])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_is_malformed_and_no_other_is(tmp_path, block, end):
    fits = b'{"a":"' + b"x" * 32 + b'"}'
    long = b'{"a":"' + b"\xff" + b"y" * 70_000 + b'"}'
    lines = [b'{"a":"1"}', fits, fits[:-1] + b" }", long, b'{"a":"2"}', long]
    file, rows = read(b"\n".join(lines) + end, tmp_path, block=block, longest=len(fits))
    assert [row["a"] for row in rows] == ["1", "x" * 32, None, None, "2", None]
    assert [row["__raw"] and len(row["__raw"]) for row in rows] == [
        *(None, None, len(fits) + 1, (1 << 16) - 1, None, (1 << 16) - 1)
    ]
    assert [row["__cause"] for row in rows] == [
        *(None, None, "too long", "too long", None, "too long")
    ]
    assert sum(each.overlong for each in file.blocks) == 3


def test_a_long_line_is_never_held_whole(tmp_path):
    path = tmp_path / "file.ndjson"
    with path.open("wb") as out:
        out.write(b'{"a":1}\n{"a":"')
        for _ in range(64):
            out.write(b"x" * (1 << 20))
        out.write(b'"}\n{"a":2}\n')
    location = Location("file.ndjson", str(path), "ndjson")
    tracemalloc.start()
    file = survey_ndjson(location, str(path))
    rows = pl.concat(file.frames(str(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows["a"].to_list() == ["1", None, "2"]
    assert peak < 48 << 20


def test_one_array_on_one_long_line_is_named(tmp_path):
    text = b"[" + b",".join([b'{"a":1}'] * 20) + b"]"
    with pytest.raises(SourceError, match="one JSON array"):
        read(text, tmp_path, longest=20)


@pytest.mark.parametrize("beside", [b"", b"no object\n", b'{"z":-0.0}\n', b'{"n":[1]}\n'])
@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"a":1,"a":2}', "1"),
        (b'{"a":"x","a":2}', "x"),
        (b'{"a":null,"a":1}', None),
        (b'{"a":-0.0,"b":"y","a":5}', "0"),
    ],
)
def test_of_a_name_that_stands_twice_the_first_value_is_read(tmp_path, line, value, beside):
    _, rows = read(line + b'\n{"a":"t"}\n' + beside, tmp_path)
    assert [row["a"] for row in rows[:2]] == [value, "t"]


@pytest.mark.parametrize("beside", [b"", b"no object\n"])
def test_inside_of_an_object_the_first_value_is_read_too(tmp_path, beside):
    _, rows = read(b'{"a":{"b":1,"b":2}}\n{"a":{"b":3}}\n' + beside, tmp_path)
    assert [row["a"] for row in rows[:2]] == [{"b": 1}, {"b": 3}]


@pytest.mark.parametrize("name", ["phone", "טלפון", 'a"b/c', "x y", "😀"])
@pytest.mark.parametrize("written", ["ascii", "utf-8", "php", "upper"])
def test_a_fraction_can_stay_as_it_is_written(tmp_path, name, written):
    key = json.dumps(name, ensure_ascii=written != "utf-8")
    key = key.replace("/", "\\/") if written == "php" else key
    if written == "upper":
        key = re.sub(r"u[0-9a-f]{4}", lambda found: "u" + found[0][1:].upper(), key)
    values = ["972540000188.0", "9.7E11", "97", '"9.0"', "-0.0", "5e-1", "null", '{"phone":1.0}']
    text = "".join(f'{{"n":{{{key}:1.5}}, {key} : {each}}}\n' for each in values[:-1]).encode()
    path = tmp_path / "file.ndjson"
    path.write_bytes(text)
    file = survey_ndjson(Location("file.ndjson", str(path), "ndjson"), str(path))
    for least, expected in (
        (0.0, ["972540000188.0", "9.7E+11", "97", "9.0", "-0.0", "5e-1", None]),
        (1e12, ["972540000188", "970000000000", "97", "9.0", "0", "0.5", None]),
    ):
        rows = pl.concat(file.frames(str(path), {name: least}))
        assert rows[name].to_list() == expected


def test_each_frame_is_one_chunk(tmp_path):
    """Texts are gathered slowly from several, which Polars' reader leaves behind."""
    path = tmp_path / "file.ndjson"
    path.write_bytes(b'{"a":"a longer text than thirteen","b":"y"}\n' * 5_000)
    assert pl.read_ndjson(path).n_chunks() > 1
    file = survey_ndjson(Location("file.ndjson", str(path), "ndjson"), str(path))
    assert {n for frame in file.frames(str(path)) for n in frame.n_chunks("all")} == {1}
