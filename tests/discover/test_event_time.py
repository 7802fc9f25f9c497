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


@pytest.mark.parametrize(
    "row",
    ["exported_at", "_loaded_at", "updated_at", "_fivetran_synced", "birth_date", "Geändert am"],
)
def test_the_time_of_a_row_is_no_event_s_where_there_is_another(row):
    assert found(**{row: ONE, "occurred_at": TIMES}) == ("occurred_at", [])
    assert found(**{row: TIMES[::-1], "wann": TIMES}) == ("wann", [])
    assert found(**{row: TIMES}) == (row, [])


def test_between_times_without_a_sure_name_a_person_chooses():
    assert found(delivered_at=TIMES, ordered=TIMES) == (None, ["delivered_at", "ordered"])
    assert found(order_date=TIMES, ship_date=TIMES)[0] is None
    assert found(order_date=TIMES) == ("order_date", [])
    assert found(delivered_at=TIMES, created_at=TIMES) == ("created_at", [])


def test_a_time_that_all_rows_share_is_the_exports():
    assert found(date=ONE, purchased=TIMES) == ("purchased", [])
    assert found(date=ONE) == ("date", [])
    assert found(
        version=ONE,
        sent=["Tue, 02 Jan 2024 10:00:00 +0000", "Wed, 03 Jan 2024 10:00:00 +0000"] * 20,
    ) == ("sent", [])
