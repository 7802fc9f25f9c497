"""Which SQL may stand in a configuration, and which may not."""

from __future__ import annotations

import polars as pl
import pytest

from backfill.errors import ConfigError
from backfill.prepare.sql import row_expression

SCHEMA = {"a": pl.String(), "b": pl.String(), "n": pl.Int64(), "my column": pl.String()}
ROWS = pl.DataFrame(
    {"a": ["x-y", None, ""], "b": ["p", "q", None], "n": [1, 2, 3], "my column": ["1", "2", "3"]},
    schema=SCHEMA,
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'+' || a || b", ["+x-yp", None, None]),
        ("coalesce(b, a)", ["p", "q", ""]),
        ("case when a = 'x-y' then b else 'none' end", ["p", "none", "none"]),
        ("split_part(a, '-', 2)", ["y", None, ""]),
        ("upper(trim(b))", ["P", "Q", None]),
        ("a in ('x-y', 'z')", [True, None, False]),
        ("b like 'p%'", [True, False, None]),
        ("n + 1", [2, 3, 4]),
        ("round(n / 2.0, 1)", [0.5, 1.0, 1.5]),
        ("cast(n as varchar) || '!'", ["1!", "2!", "3!"]),
        ("try_cast(a as int)", [None, None, None]),
        ("nullif(a, '')", ["x-y", None, None]),
        ("greatest(a, b)", ["x-y", "q", ""]),
        ('"my column" || b', ["1p", "2q", None]),
        ("a || 'now()'", ["x-ynow()", None, "now()"]),
        ("n between 2 and 3", [False, True, True]),
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


def test_a_column_that_is_not_there_is_named_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="my column"):
        row_expression('"my colum" || a', SCHEMA, where="x")
