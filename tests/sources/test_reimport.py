"""Rows that were given out and come back: mended, or as they were."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.acceptance.program import backfill

CONFIG = """
destination = "watch-events"
[events]
files = "{files}"
where = "kind <> 'test'"
[fields]
"target.value" = "phone"
"label"        = "label"
"confidence"   = {{ value = "high" }}
"""
ROWS = """kind,phone,label
a,+12025550101,one
a,+12025550102,two,too many
a,,three
a,"+12025550103
"""


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_a_malformed_row_that_nobody_mended_is_malformed_again(tmp_path: Path, ending: str) -> None:
    (tmp_path / "events.csv").write_text(ROWS)
    (tmp_path / "first.toml").write_text(CONFIG.format(files="events.csv"))
    (tmp_path / "again.toml").write_text(CONFIG.format(files=f"rejected.{ending}"))
    found = []
    for name, out in (("first", f"rejected.{ending}"), ("again", "again.parquet")):
        backfill("plan", f"{name}.toml", "--quiet", cwd=tmp_path, expect=[0, 3])
        words = ("records", f"{name}.job", "--state", "rejected", "-o", out)
        backfill(*words, cwd=tmp_path, expect=[0])
        backfill(*words[:-1], f"{name}.parquet", "--force", cwd=tmp_path, expect=[0])
        rows = pl.read_parquet(tmp_path / f"{name}.parquet")
        found.append(
            rows.select("_reason", "_raw", "_cause", "label").sort("_reason", "_raw").rows()
        )
    assert found[0] == found[1]
    assert [reason for reason, *_ in found[1]] == ["row|malformed"] * 2 + ["target.value|required"]
