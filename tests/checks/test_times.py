"""Times of every form, as moments in UTC."""

# ruff: noqa: DTZ001 - date-times without a zone are part of what is tested

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.checked import Checked
from backfill.checks.times import MOMENT, check_time, rfc3339
from tests.checks.judged import judged_values

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def read(
    values: list[object],
    dtype: pl.DataType | type[pl.DataType] | None = None,
    *,
    zone: str | None = None,
    now: datetime = NOW,
) -> list[tuple[datetime | None, str]]:
    """(moment, broken rules) for each value."""
    raw = pl.Series("raw", values, dtype=dtype, strict=False)
    found = judged_values(raw, check_time(raw.dtype, timezone=zone, now=now))
    assert found.schema["v"] == MOMENT
    return found.rows()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # a tuple of unknown length


AT = utc(2024, 5, 6, 7, 8, 9)


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_text_that_names_a_moment_needs_no_zone(zone):
    named = [
        ("2024-05-06T07:08:09Z", AT),
        ("2024-05-06t07:08:09z", AT),
        ("2024-05-06 07:08:09Z", AT),
        (" 2024-05-06T07:08:09Z\r", AT),
        ("2024-05-06T07:08:09 UTC", AT),
        ("2024-05-06 07:08:09 GMT", AT),
        ("2024-05-06T10:08:09+03:00", AT),
        ("2024-05-06T10:08:09+0300", AT),
        ("2024-05-06 10:08:09+03", AT),
        ("2024-05-06 10:08:09 +0300", AT),
        ("2024-05-06T01:38:09-05:30", AT),
        ("2024-05-06T07:08:09-00:00", AT),
        ("2024-05-06T07:08Z", utc(2024, 5, 6, 7, 8)),
        ("2024-05-06T07:08+01:00", utc(2024, 5, 6, 6, 8)),
        ("2024-05-06T07:08:09.5Z", AT + timedelta(milliseconds=500)),
        ("2024-05-06T07:08:09.000001+00:00", AT + timedelta(microseconds=1)),
        ("2024-05-06T07:08:09.1234567891Z", AT + timedelta(microseconds=123456)),
        ("2024-02-29T00:00:00Z", utc(2024, 2, 29)),
        ("0001-01-01T00:00:00Z", utc(1, 1, 1)),
        ("1715000000", datetime.fromtimestamp(1715000000, UTC)),
        ("100000000", datetime.fromtimestamp(100_000_000, UTC)),
        ("1715000000.25", datetime.fromtimestamp(1715000000.25, UTC)),
        ("1715000000.1234567", datetime.fromtimestamp(1715000000, UTC).replace(microsecond=123456)),
        ("1715000000123", datetime.fromtimestamp(1715000000.123, UTC)),
        ("1715000000123.4", datetime.fromtimestamp(1715000000, UTC).replace(microsecond=123400)),
        ("1715000000123456", datetime.fromtimestamp(1715000000, UTC).replace(microsecond=123456)),
        (
            "1715000000123456789",
            datetime.fromtimestamp(1715000000, UTC).replace(microsecond=123456),
        ),
    ]
    assert read([text for text, _ in named], zone=zone) == [(moment, "") for _, moment in named]


def test_text_of_no_known_form_breaks_format_alone():
    texts: list[object] = [
        "yesterday",
        "06/05/2024",
        "2024-5-6",
        "2024-13-01",
        "2024-02-30",
        "2023-02-29T00:00:00Z",
        "2024-05-06T24:00:00Z",
        "2024-05-06T07:60:00Z",
        "2024-05-06T07:08:60Z",
        "2024-05-06T07:08:09.Z",
        "2024-05-06T07:08:09,5Z",
        "2024-05-06T07:08:09+24:00",
        "2024-05-06T07:08:09+03:60",
        "2024-05-06T07:08:09 EST",
        "2024-05-06T07Z",
        "2024-05-06Z",
        "2024-05-06T07:08:09Z tomorrow",
        "٢٠٢٤-05-06T07:08:09Z",
        "20240506",
        "99999999",
        "0",
        "-1715000000",
        "1.715e9",
        "17150000001234567890",
        "9999999999999999999",
    ]
    assert read(texts, zone="UTC") == [(None, "format")] * len(texts)


@pytest.mark.parametrize(
    "value",
    [
        "2024-05-06",
        "2024-05-06 07:08",
        "2024-05-06T07:08:09.5",
        date(2024, 5, 6),
        AT.replace(tzinfo=None),
    ],
)
def test_a_time_without_a_zone_breaks_timezone_unless_one_is_configured(value):
    assert read([value]) == [(None, "timezone")]
    ((moment, broken),) = read([value], zone="Asia/Tokyo")
    assert broken == ""
    assert moment is not None


def test_a_date_is_the_midnight_that_begins_it():
    expected = [(datetime(2024, 5, 6, tzinfo=ZoneInfo("Asia/Jerusalem")).astimezone(UTC), "")]
    assert read(["2024-05-06"], zone="Asia/Jerusalem") == expected
    assert read([date(2024, 5, 6)], zone="Asia/Jerusalem") == expected


@pytest.mark.parametrize("as_text", [True, False])
def test_clocks_put_forward_leave_a_gap_and_put_back_an_hour_whose_earlier_half_counts(as_text):
    local = [
        datetime(2024, 3, 31, 1, 59, 59),
        datetime(2024, 3, 31, 2, 0),
        datetime(2024, 3, 31, 2, 59, 59),
        datetime(2024, 3, 31, 3, 0),
        datetime(2024, 10, 27, 2, 30),
    ]
    values: list[object] = [str(each) for each in local] if as_text else [*local]
    assert read(values, zone="Europe/Berlin") == [
        (utc(2024, 3, 31, 0, 59, 59), ""),
        (None, "nonexistent"),
        (None, "nonexistent"),
        (utc(2024, 3, 31, 1, 0), ""),
        (utc(2024, 10, 27, 0, 30), ""),
    ]


@pytest.mark.parametrize("value", ["2024-05-06T07:08:09.000001Z", AT + timedelta(microseconds=1)])
def test_a_time_later_than_now_breaks_future_and_now_itself_does_not(value):
    later = AT + timedelta(microseconds=1)
    assert read([value], now=later) == [(later, "")]
    assert read([value], now=AT) == [(later, "future")]
    elsewhere = later.astimezone(timezone(timedelta(hours=-9)))
    assert read([value], now=elsewhere) == [(later, "")]


def test_the_calendar_ends_with_the_years_1_and_9999():
    rules = {
        "0001-01-01T00:00:00+00:01": "range",
        "0001-01-01T00:01:00+00:01": "",
        "0000-12-31T23:59:59Z": "range",
        "9999-12-31T23:59:59.999999Z": "",
        "9999-12-31T23:59:59-00:01": "range",
    }
    found = read([*rules], now=utc(9999, 12, 31, 23, 59, 59, 999_999))
    assert [broken for _, broken in found] == [*rules.values()]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1_715_000_000, None], pl.Int64),
        ([1_715_000_000, None], pl.UInt32),
        ([1_715_000_000_000, None], pl.Int64),
        ([1_715_000_000_000_000, None], pl.UInt64),
        ([1_715_000_000_000_000_000, None], pl.Int128),
        ([1_715_000_000.0, None], pl.Float64),
        ([1_715_000_000_000.0, None], pl.Float64),
        ([Decimal("1715000000.00"), None], pl.Decimal(14, 2)),
        (["1715000000", None], pl.Categorical()),
    ],
)
def test_numbers_are_epochs_told_apart_by_magnitude(values, dtype):
    assert read(values, dtype) == [(datetime.fromtimestamp(1_715_000_000, UTC), ""), (None, "")]


SECOND = 10**9
MAGNITUDES = [  # a number, and how many nanoseconds each one of it is
    (10**8, SECOND),
    (10**11 - 1, SECOND),
    (10**11, SECOND // 10**3),
    (10**14 - 2, SECOND // 10**3),
    (10**14, SECOND // 10**6),
    (10**17 - 16, SECOND // 10**6),
    (10**17, 1),
]


@pytest.mark.parametrize(
    ("made", "dtype"),
    [
        (str, pl.String()),
        (int, pl.Int64()),
        (float, pl.Float64()),
        (Decimal, pl.Decimal(20, 0)),
    ],
)
def test_each_magnitude_of_an_epoch_begins_where_the_one_below_it_ends(made, dtype):
    found = read([made(number) for number, _ in MAGNITUDES], dtype, now=utc(9999, 1, 1))
    assert found == [
        (utc(1970, 1, 1) + timedelta(microseconds=number * nanoseconds // 1000), "")
        for number, nanoseconds in MAGNITUDES
    ]


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31, 23, 59, 59)),
        min_size=1,
    ),
    st.sampled_from(["%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S500"]),
)
def test_digits_that_are_a_date_and_a_clock_are_no_epoch(moments, form):
    digits = [each.strftime(form) for each in moments]
    columns: list[tuple[list[object], pl.DataType]] = [
        ([*digits], pl.String()),
        ([int(each) for each in digits], pl.Int64()),
        ([float(each) for each in digits], pl.Float64()),
        ([Decimal(each) for each in digits], pl.Decimal(20, 0)),
    ]
    for values, dtype in columns:
        assert set(read(values, dtype, now=utc(9999, 1, 1))) == {(None, "format")}


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (202401311000, pl.Int64()),
        (202401311000.0, pl.Float64()),
        (Decimal(202401311000), pl.Decimal(38, 0)),
    ],
)
def test_a_form_of_the_users_own_reads_numbers_too(value, dtype):
    raw = pl.Series("raw", [value, None, type(value)(1_715_000_000)], dtype=dtype)
    steps = check_time(dtype, timezone="UTC", now=NOW, formats=("%Y%m%d%H%M",))
    epoch = datetime.fromtimestamp(1_715_000_000, UTC)
    found = judged_values(raw, steps).rows()
    assert found == [(utc(2024, 1, 31, 10), ""), (None, ""), (epoch, "")]


@pytest.mark.parametrize(
    "number",
    [
        *(189912312359, 190000010000, 190013010000, 190001320000, 190001012400, 190001010060),
        *(210001010000, 946684800000, 1709284500000, 20240101100060, 21000101000000),
    ],
)
def test_digits_that_are_no_date_and_clock_are_milliseconds(number):
    moment = utc(1970, 1, 1) + timedelta(milliseconds=number)
    assert read([str(number)], now=utc(9999, 1, 1)) == [(moment, "")]


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [("100000000000.5", 500), ("100000000000000.5", 0), ("100000000.5", 500_000)],
)
def test_a_fraction_is_one_of_what_its_epoch_counts_in(text, microsecond):
    ((moment, broken),) = read([text])
    assert broken == ""
    assert moment is not None
    assert moment.microsecond == microsecond


@pytest.mark.parametrize("value", ["99999999999.999999", 99_999_999_999.5])
def test_a_fraction_does_not_change_what_an_epoch_counts_in(value):
    ((moment, _),) = read([value], now=utc(9999, 1, 1))
    assert moment is not None
    assert moment.year == 5138


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (99_999_999, pl.Int64),
        (-1_715_000_000, pl.Int64),
        (2**100, pl.Int128),
        (2**64 - 1, pl.UInt64),
        (float("nan"), pl.Float64),
        (float("inf"), pl.Float64),
        (99_999_999.9, pl.Float64),
        (1e30, pl.Float64),
        (True, pl.Boolean),
        (timedelta(1), pl.Duration),
        ([1], pl.List(pl.Int64)),
        (b"2024-05-06", pl.Binary),
    ],
)
def test_what_is_no_time_breaks_format_and_a_null_does_not(value, dtype):
    assert read([value, None], dtype, zone="UTC") == [(None, "format"), (None, "")]


def test_missing_breaks_nothing():
    assert read(["", " ", None], zone="UTC") == [(None, "")] * 3
    assert read([None, None]) == [(None, "")] * 2


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_a_typed_moment_stays_the_moment_that_it_is(unit, zone):
    moments = pl.Series([AT, None]).dt.cast_time_unit(unit).dt.convert_time_zone(zone or "UTC")
    plain = moments if zone else moments.dt.replace_time_zone(None)
    raw = pl.DataFrame({"raw": plain})
    checked = Checked.from_steps(
        pl.col("raw"), check_time(raw.schema["raw"], timezone=None if zone else "UTC", now=NOW)
    )
    assert raw.select(checked.value).to_series().to_list() == [AT, None]


@pytest.mark.parametrize("unit", ["ms", "us"])
@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
@pytest.mark.parametrize("count", [2**62, -(2**62)])
def test_a_typed_moment_beyond_the_calendar_breaks_range(unit, zone, count):
    raw = pl.DataFrame({"raw": [count, None]}).select(pl.col("raw").cast(pl.Datetime(unit, zone)))
    checked = Checked.from_steps(
        pl.col("raw"), check_time(raw.schema["raw"], timezone="Asia/Tokyo", now=NOW)
    )
    rules = [rule for rule, expr in checked.broken if raw.select(expr).to_series()[0]]
    assert rules == ["range"]
    assert raw.select(checked.value).to_series().null_count() == 2


ZONES = st.sampled_from(["UTC", "Asia/Jerusalem", "America/St_Johns", "Australia/Lord_Howe"])
MOMENTS = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29))
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.builds(lambda at, zone: at.replace(tzinfo=zone), MOMENTS, OFFSETS), min_size=1))
def test_what_isoformat_writes_is_read_as_fromisoformat_reads_it(moments):
    now = datetime(9999, 12, 31, tzinfo=UTC)
    for separator in "T ":
        texts: list[object] = [each.isoformat(separator) for each in moments]
        assert read(texts, now=now) == [
            (datetime.fromisoformat(str(text)).astimezone(UTC), "") for text in texts
        ]


USUAL = {
    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z": "{:04}-{:02}-{:02}t{:02}:{:02}:{:02}.{:03}z",
    "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z": "{:04}-{:02}-{:02}t{:02}:{:02}:{:02}z",
    "{:04}-{:02}-{:02} {:02}:{:02}:{:02}": "{:04}-{:02}-{:02}t{:02}:{:02}:{:02}",
}
PARTS = st.tuples(*(st.integers(*each) for each in (
    (1, 9999), (0, 13), (0, 32), (0, 25), (0, 61), (0, 61), (0, 999),
)))  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.lists(PARTS, min_size=1))
def test_a_usual_form_means_what_it_means_in_other_letters(moments):
    texts: list[object] = []
    others: list[object] = []
    for usual, other in USUAL.items():
        texts += [usual.format(*each) for each in moments]
        others += [other.format(*each) for each in moments]
    found = read([*texts, *others], zone="UTC")
    assert found[: len(texts)] == found[len(texts) :]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.datetimes(datetime(1950, 1, 1), datetime(2037, 12, 31)), min_size=1), ZONES)
def test_a_local_time_is_what_the_zone_database_says(local, zone):
    place = ZoneInfo(zone)
    texts: list[object] = [str(each) for each in local]
    for each, (moment, broken) in zip(
        local, read(texts, zone=zone, now=utc(2040, 1, 1)), strict=True
    ):
        expected = each.replace(tzinfo=place, fold=0).astimezone(UTC)
        if expected.astimezone(place).replace(tzinfo=None) == each:
            assert (moment, broken) == (expected, "")
        else:
            assert (moment, broken) == (None, "nonexistent")


LIKELY = st.one_of(st.text(max_size=30), st.text("0123456789TZ:+. -", max_size=30))


@settings(max_examples=20, deadline=None)
@given(st.lists(LIKELY, min_size=1))
def test_a_text_gives_a_moment_or_breaks_a_rule_and_only_the_future_does_both(texts):
    for text, (moment, broken) in zip(texts, read(list(texts), zone="UTC"), strict=True):
        missing = moment is None and broken == ""
        assert not missing or trimmed_away(text)
        assert broken in (("", "future") if moment else ("", "format", "range"))


def trimmed_away(text: str) -> bool:
    return not text.strip(" \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\ufeff") or not any(
        each.isprintable() and not each.isspace() for each in text
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(MOMENTS, min_size=1))
def test_what_is_sent_is_the_moment_to_the_millisecond(moments):
    frame = pl.DataFrame({"at": pl.Series(moments, dtype=pl.Datetime("us"))})
    texts = frame.select(rfc3339(pl.col("at").dt.replace_time_zone("UTC"))).to_series()
    for moment, text in zip(moments, texts, strict=True):
        whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
        assert datetime.fromisoformat(text) == whole
        assert text == whole.isoformat(
            timespec="milliseconds" if whole.microsecond else "seconds"
        ).replace("+00:00", "Z")
