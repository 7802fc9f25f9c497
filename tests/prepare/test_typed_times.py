"""A moment is sent as the same RFC 3339 text, whatever type its column has."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.prepare.prepared import prepared
from tests.sources.test_any_source import VALID

# What each type holds of a moment given in whole milliseconds since the epoch.
Held = Callable[[int], Any]


def _moment(millis: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)


def _naive(millis: int) -> datetime:
    return _moment(millis).replace(tzinfo=None)


COLUMNS: dict[str, tuple[pl.DataType, int, Held]] = {
    # name: type, the unit that it holds in milliseconds, its value
    "seconds": (pl.Int64(), 1000, lambda ms: ms // 1000),
    "seconds, 32 bits": (pl.Int32(), 1000, lambda ms: ms // 1000),
    "seconds, unsigned": (pl.UInt32(), 1000, lambda ms: ms // 1000),
    "milliseconds": (pl.Int64(), 1, lambda ms: ms),
    "milliseconds, unsigned": (pl.UInt64(), 1, lambda ms: ms),
    "microseconds": (pl.Int64(), 1, lambda ms: ms * 1000),
    "nanoseconds": (pl.Int64(), 1, lambda ms: ms * 1_000_000),
    "float seconds": (pl.Float64(), 1, lambda ms: ms / 1000),
    "float milliseconds": (pl.Float64(), 1, float),
    "decimal seconds": (pl.Decimal(20, 3), 1, lambda ms: Decimal(ms) / 1000),
    "text": (pl.String(), 1, lambda ms: _moment(ms).isoformat()),
    "text of seconds": (pl.String(), 1000, lambda ms: str(ms // 1000)),
    "categories": (pl.Categorical(), 1, lambda ms: _moment(ms).isoformat()),
    "date": (pl.Date(), 86_400_000, lambda ms: _naive(ms).date()),
    "naive ms": (pl.Datetime("ms"), 1, _naive),
    "naive us": (pl.Datetime("us"), 1, _naive),
    "naive ns": (pl.Datetime("ns"), 1, _naive),
    "zoned ms": (pl.Datetime("ms", "UTC"), 1, _moment),
    "zoned us": (pl.Datetime("us", "Asia/Jerusalem"), 1, _moment),
    "zoned ns": (pl.Datetime("ns", "America/New_York"), 1, _moment),
}

# 2001-09-09 on, so that seconds have ten digits; before the moment of planning.
moments = st.lists(
    st.none() | st.integers(1_000_000_000_000, 1_740_000_000_000), min_size=1, max_size=12
)


@pytest.mark.parametrize("name", COLUMNS)
@settings(deadline=None, max_examples=2)
@given(moments=moments)
def test_every_kind_of_time_column_is_sent_as_a_date_time(
    name: str, moments: list[int | None]
) -> None:
    dtype, unit, held = COLUMNS[name]
    times = [None if ms is None else held(ms) for ms in moments]
    frame = pl.DataFrame(
        {
            "at": pl.Series(times, dtype=dtype),
            "user": [str(uuid.UUID(int=i)) for i in range(len(times))],
        }
    )
    with prepared(
        "pristo-events",
        frame,
        events={"time": "at", "timezone": "UTC"},
        fields={
            "contact.id": "user",
            "contact.email": {"value": "a@example.com"},
            "type": {"value": "purchase"},
        },
    ) as job:
        for body in job.bodies:
            VALID.validate(body)
        sent = [body["occurredAt"] for body in job.bodies]
        assert sent == [_written(ms - ms % unit) for ms in moments if ms is not None]
        assert set(job.reasons.values()) <= {"occurredAt|required"}
        assert len(job.reasons) == moments.count(None)


def _written(millis: int) -> str:
    fraction = f".{millis % 1000:03}" if millis % 1000 else ""
    return f"{_moment(millis):%Y-%m-%dT%H:%M:%S}{fraction}Z"
