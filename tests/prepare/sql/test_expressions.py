"""Which SQL may stand in a configuration, and which may not."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from backfill.core.errors import ConfigError
from backfill.prepare.sql.expressions import row_expression
from backfill.sources.schemas import MIXED

KEYWORDS = {"select": "s", "values": "t", "table": "v", "from": "f"}
SCHEMA = {
    "a": pl.String(),
    "b": pl.String(),
    "n": pl.Int64(),
    "my column": pl.String(),
    "at": pl.Date(),
    **dict.fromkeys(KEYWORDS, pl.String()),
}
ROWS = pl.DataFrame(
    {
        "a": ["x-y", None, ""],
        "b": ["p", "q", None],
        "n": [1, 2, 3],
        "my column": ["1", "2", "3"],
        "at": [date(2024, 1, 2), date(2024, 3, 4), None],
        **{name: [value, value, None] for name, value in KEYWORDS.items()},
    },
    schema=SCHEMA,
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'+' || a || b", ["+x-yp", None, None]),
        ("coalesce(b, a)", ["p", "q", None]),
        ("case when a = 'x-y' then b else 'none' end", ["p", "none", "none"]),
        ("split_part(a, '-', 2)", ["y", None, None]),
        ("upper(trim(b))", ["P", "Q", None]),
        ("a in ('x-y', 'z')", [True, None, None]),
        ("b like 'p%'", [True, False, None]),
        ("n + 1", [2, 3, 4]),
        ("round(n / 2.0, 1)", [0.5, 1.0, 1.5]),
        ("cast(n as varchar) || '!'", ["1!", "2!", "3!"]),
        ("try_cast(a as int)", [None, None, None]),
        ("nullif(a, '')", ["x-y", None, None]),
        ("greatest(a, b)", ["x-y", "q", None]),
        ('"my column" || b', ["1p", "2q", None]),
        ("a || 'now()'", ["x-ynow()", None, None]),
        ("n between 2 and 3", [False, True, True]),
        ("extract(year from at)", [2024, 2024, None]),
        ("substring(a from 1 for 2)", ["x-", None, None]),
        ("trim(both 'x' from a)", ["-y", None, None]),
        ('"select" || "values" || "table" || "from"', ["stvf", "stvf", None]),
        (
            "a || 'select (from ''with'' \"read_csv('",
            [
                "x-yselect (from 'with' \"read_csv(",
                None,
                None,
            ],
        ),
        ("b -- from read_csv('x')\n || 'c'", ["pc", "qc", None]),
        ("b /* select '1' */ || 'c'", ["pc", "qc", None]),
        ("`my column`", ["1", "2", "3"]),
    ],
)
def test_a_row_expression_gives_a_value_for_each_row(text: str, values: list[object]) -> None:
    expression = row_expression(text, SCHEMA, where="[fields] x")
    assert ROWS.select(expression.alias("x"))["x"].to_list() == values


@pytest.mark.parametrize(
    "text",
    [
        "read_csv('/etc/passwd')",
        "read_parquet('x.parquet')",
        "a || (select max(a) from self)",
        "(select 1)",
        "exists (select 1)",
        "a from read_csv('/etc/passwd')",
        "a; drop table x",
        "a, b",
        "*",
        "columns('.*')",
        "max(a)",
        "max(a) || b",
        "count(*)",
        "a || count(*)",
        "sum(n)",
        "first(a)",
        "string_agg(a)",
        "array_agg(a)",
        "stddev(n)",
        "corr(n, n) + n",
        "quantile_cont(n, 0.5) + n",
        "median(n) + n",
        "row_number() over (order by a)",
        "rank() over (order by a)",
        "max(a) over (partition by b)",
        "lag(a) over (order by n)",
        "unnest(a)",
        "generate_series(1, 3)",
        "now()",
        "coalesce(a, cast(NOW () as varchar))",
        "current_date",
        "localtimestamp",
        "random()",
        "getenv('HOME')",
        "'constant'",
        "a +",
        "missing || a",
        "-a",
    ],
)
def test_what_looks_beyond_the_row_or_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        row_expression(text, SCHEMA, where="[fields] label")
    assert caught.value.where == "[fields] label"
    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["both.id", "upper(both)", "both || a", "both.__nested"])
def test_what_looks_into_a_column_of_single_and_nested_values_is_refused_in_words(
    text: str,
) -> None:
    with pytest.raises(ConfigError, match=r"'both'.* lists or objects in some rows"):
        row_expression(text, {**SCHEMA, "both": MIXED}, where="[fields] label")


@pytest.mark.parametrize("text", ["both", "case when n > 1 then both end"])
def test_a_column_of_single_and_nested_values_may_be_passed_on_whole(text: str) -> None:
    frame = pl.DataFrame(schema={**SCHEMA, "both": MIXED})
    found = frame.select(row_expression(text, frame.schema, where="x")).dtypes
    assert found == [MIXED]


def test_a_function_that_does_not_fit_a_type_is_refused_before_any_row_is_read() -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        row_expression("upper(o)", {"o": pl.Struct({"a": pl.String()})}, where="x")


def test_a_column_that_is_not_there_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="my column"):
        row_expression('"my colum" || a', SCHEMA, where="x")


NESTED = {
    "id": pl.String(),
    "n": pl.Int64(),
    "tags": pl.List(pl.String()),
    "user": pl.Struct({"id": pl.String(), "email": pl.String()}),
    "properties": pl.Struct({"order_id": pl.String(), "deep": pl.Struct({"x": pl.Int64()})}),
    "wide": pl.Struct({f"field {number}": pl.String() for number in range(20)}),
    "mixed": MIXED,
    "traits": pl.String(),
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user.id", ('"user".id',)),
        ("user", ('"user"', "word of SQL")),
        ("coalesce(user.email, 'user')", ("coalesce(\"user\".email, 'user')",)),
        ("(properties).order_id", ("this way to a field", '"column".field')),
        ("nobody.id || user.id", ("'nobody.id || user.id' cannot be used",)),
        ("properties.order", ("'properties' has no field 'order'", "Did you mean 'order_id'?")),
        ("properties.deep.y", ("'properties.deep' has no field 'y'", "Known names: x.")),
        ("wide.nothing", ("'wide' has no field", "field 0, field 1", "and 8 more")),
        ("traits.plan", ("'traits' holds text here", "NDJSON and Parquet keep them")),
        ("traits->>'plan'", ("'traits' holds text here", "NDJSON and Parquet keep them")),
        ("tags.first", ("'tags' holds a list here", 'ARRAY_GET("column", 1)')),
        ("n.x", ("'n' holds numbers here",)),
        ("mixed.x", ("looks into the column 'mixed'",)),
        (
            "UPPER(properties)",
            ("takes a text, and 'properties' holds fields", '"properties".order'),
        ),
        ("UPPER(n)", ("'n' holds numbers", 'CAST("n" AS VARCHAR)')),
        ("id = 1", ('TRY_CAST("id" AS DOUBLE)',)),
        ("CASE WHEN id THEN 'a' ELSE 'b' END", ("takes a truth value, and 'id' holds text",)),
        ("contacts.id", ("names the column 'contacts'", 'from = "contacts"')),
    ],
)
def test_what_does_not_fit_the_columns_is_told_with_what_to_write(
    text: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        row_expression(text, NESTED, where="[fields] label")
    assert caught.value.where == "[fields] label"
    assert text in caught.value.message
    for each in words:
        assert each in str(caught.value)
    for inner in ("Ident", "dtype", "struct["):
        assert inner not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"user".id', "u"),
        ('"user"."id" || properties.order_id', "uo"),
        ("properties.deep.x + n", 3),
        ("properties->>'order_id'", "o"),
        ("tags[2]", "b"),
        ('ARRAY_GET("tags", 1)', "a"),
    ],
)
def test_a_field_of_a_nested_column_is_reached(text: str, value: object) -> None:
    row = {
        "n": 1,
        "tags": ["a", "b"],
        "user": {"id": "u"},
        "properties": {"order_id": "o", "deep": {"x": 2}},
    }
    expression = row_expression(text, NESTED, where="x")
    assert pl.DataFrame([row], schema=NESTED).select(expression).item() == value


OPENING = [
    "(select x from read_csv('{}'))",
    "a in (select x from read_csv('{}'))",
    "a in (from read_csv('{}'))",
    "(FrOm read_csv('{}'))",
    "exists(select 1 from read_csv('{}'))",
    "a || (with t as (select * from read_csv('{}')) select x from t)",
    "trim(from read_csv('{}'))",
    "a || /* /* */ ' */ (select x from read_csv('{}')) || /* ' */ 'b'",
    "a || E'\\'' || (select x from read_csv('{}')) || 'b'",
    "a || $$'$$ || (select x from read_csv('{}')) || $$'$$",
    "a -- \r ' \n || (select x from read_csv('{}')) --\r '",
    "a || q'['']' || (select x from read_csv('{}')) || q'[']'",
    "a from read_csv('{}')",
    "read_csv('{}')",
    "scan_parquet('{}')",
    "(table a)",
    "a in (values ('x'))",
    "with t as (select 1) a",
]

TRY = """
import sys
import polars as pl
from backfill.core.errors import ConfigError
from backfill.sources.schemas import MIXED
from backfill.prepare.sql.expressions import row_expression
for text in sys.argv[1:]:
    try:
        row_expression(text, {"a": pl.String()}, where="x")
    except ConfigError as error:
        print(repr(error.message))
"""


@pytest.mark.parametrize("text", OPENING)
def test_a_file_is_spoken_of_in_the_same_way_whether_it_is_there_or_not(
    text: str, tmp_path: Path
) -> None:
    there = tmp_path / "there.csv"
    there.write_text("root:x:0\n")
    messages = []
    for path in (there, tmp_path / "not there.csv"):
        with pytest.raises(ConfigError) as caught:
            row_expression(text.replace("{}", str(path)), SCHEMA, where="x")
        assert "root:x:0" not in str(caught.value)
        messages.append(str(caught.value).replace(str(path), "…"))
    assert messages[0] == messages[1]


def test_not_even_a_pipe_is_opened_that_would_never_answer(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    texts = [text.replace("{}", str(pipe)) for text in OPENING]
    done = subprocess.run(
        [sys.executable, "-c", TRY, *texts], capture_output=True, text=True, timeout=60, check=True
    )
    assert len(done.stdout.splitlines()) == len(texts)


@pytest.mark.parametrize(
    "text",
    [
        " || ".join(["a"] * 400),
        "CASE " + " ".join(f"WHEN a = '{n}' THEN 'x'" for n in range(480)) + " END",
        "(" * 3_000 + "a" + ")" * 3_000,
    ],
)
def test_an_expression_that_is_too_deep_is_refused_in_few_words(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        row_expression(text, SCHEMA, where="[fields] x")
    assert len(str(caught.value)) < 600


def test_a_long_case_is_worked_out() -> None:
    text = " ".join(f"WHEN a = '{n}' THEN 'x'" for n in range(300))
    expression = row_expression(f"CASE {text} ELSE a END", SCHEMA, where="[fields] x")
    assert ROWS.select(x=expression)["x"].to_list() == ["x-y", None, None]


@pytest.mark.parametrize(
    "tree",
    [
        '{"Cast": {"input": {"Column": "a"}}}',
        '{"Function": {"input": [], "function": {"One": 1, "Two": 2}}}',
        '{"Alias": {}}',
        '{"Column": "a", "Scale": 2}',
        '"Wildcard"',
    ],
)
def test_what_another_version_writes_in_another_way_is_refused(
    monkeypatch: pytest.MonkeyPatch, tree: str
) -> None:
    """What may stand in an expression is known of the versions that were tried, and of no other."""
    monkeypatch.setattr(
        type(pl.col("a").meta),
        "serialize",
        lambda _meta, *, format: tree,  # noqa: A006
    )
    with pytest.raises(ConfigError, match="contains"):
        row_expression("a || b", SCHEMA, where="[fields] x")
