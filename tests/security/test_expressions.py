"""A configuration's SQL sees the columns of its row: no file, no environment, no other table."""

from __future__ import annotations

import sys

import polars as pl
import pytest

from backfill.core.errors import ConfigError
from backfill.prepare.sql.expressions import row_expression

SCHEMA = {"a": pl.String(), "b": pl.String(), "n": pl.Int64()}

FILES = [
    "(select a from read_csv('{0}'))",
    "(select a from '{0}')",
    "a || (select string_agg(a) from read_csv('{0}'))",
    "a in (select a from read_csv('{0}'))",
    "exists (select 1 from read_csv('{0}'))",
    "case when a = (select a from scan_csv('{0}')) then a else b end",
    "read_csv('{0}')",
    "read_parquet('{0}')",
    "read_json('{0}')",
    "read_ndjson('{0}')",
    "read_ipc('{0}')",
    "read_text('{0}')",
    "readfile('{0}')",
    "load_extension('{0}')",
    "a union select * from read_csv('{0}')",
    "a from read_csv('{0}') --",
    "a) from read_csv('{0}') where (1=1",
    "a; select * from read_csv('{0}')",
    "a/**/from/**/read_csv('{0}')",
    "array(select a from read_csv('{0}'))",
    "(with x as (select * from read_csv('{0}')) select a from x)",
    "unnest(read_csv('{0}'))",
    "coalesce(a, (table read_csv('{0}')))",
]
ENVIRONMENT = [
    "getenv('PRISTO_API_KEY')",
    "env('PRISTO_API_KEY')",
    "current_setting('PRISTO_API_KEY')",
    "current_user",
    "session_user",
    "a || version()",
    "pg_read_file('/etc/passwd')",
    "system('id')",
    "eval('1')",
    "py_eval('__import__(\"os\").environ')",
    "a.map_elements(print)",
    "$PRISTO_API_KEY",
    "${PRISTO_API_KEY} || a",
    "@@version || a",
    ":a || a",
    "? || a",
]


@pytest.mark.parametrize("text", [*FILES, *ENVIRONMENT])
def test_nothing_but_the_row_can_be_read(tmp_path, monkeypatch, text):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\nstolen,x\n", encoding="utf-8")
    monkeypatch.setenv("PRISTO_API_KEY", "stolen-too")
    opened = []
    sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
    with pytest.raises(ConfigError) as raised:
        row_expression(text.replace("{0}", str(secret)), SCHEMA, where="[fields] x")
    assert str(secret) not in map(str, opened)
    assert "stolen" not in str(raised.value)
