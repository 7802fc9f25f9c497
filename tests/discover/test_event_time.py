"""The column that says when events happened."""

from __future__ import annotations

import pytest

from backfill.discover.columns import profile_columns
from backfill.discover.event_time import find_time
from tests.discover.frames import NOW, TIMES, events

ONE = ["2024-05-01T00:00:00Z"] * 40


def found(**columns):
    time, perhaps = find_time(profile_columns(events(at=None, **columns), "events", now=NOW))
    return time and time.name, [each.name for each in perhaps]


@pytest.mark.parametrize("row", ["exported_at", "_loaded_at", "updated_at", "_fivetran_synced"])
def test_the_time_of_a_row_is_no_event_s_where_there_is_another(row):
    assert found(**{row: ONE, "occurred_at": TIMES}) == ("occurred_at", [])
    assert found(**{row: TIMES[::-1], "wann": TIMES}) == (None, ["wann", row])
    assert found(**{row: TIMES}) == (row, [])


def test_a_time_that_all_rows_share_is_the_exports():
    assert found(date=ONE, purchased=TIMES) == (None, ["purchased", "date"])
    assert found(date=ONE) == ("date", [])
