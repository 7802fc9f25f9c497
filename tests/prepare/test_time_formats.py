"""Times in a form of the user's own: what fits it exactly is read, and nothing else is guessed."""

# ruff: noqa: DTZ001 - date-times without a zone are part of what is tested

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.checked import Checked
from backfill.checks.times import check_time
from tests.checks.judged import judged_values
from tests.prepare.prepared import prepare_in

LATE = datetime(9999, 12, 31, tzinfo=UTC)
DOTTED = "%d.%m.%Y %H:%M"


def read(
    values: Sequence[str | None],
    *formats: str,
    zone: str | None = "UTC",
    dtype: pl.DataType | type[pl.DataType] = pl.String,
) -> list[tuple[datetime | None, str]]:
    """(moment, broken rules) for each value, which both engines agree on."""
    raw = pl.Series("raw", values, dtype=dtype)
    steps = check_time(raw.dtype, timezone=zone, now=LATE, formats=formats)
    return judged_values(raw, steps).rows()


AT = datetime(2023, 12, 31, 14, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "form", "moment"),
    [
        ("31.12.2023 14:05", DOTTED, AT),
        (" 31.12.2023 14:05\n", DOTTED, AT),
        ("31.12.2023 14:05", f" {DOTTED} ", AT),
        ("1.2.2024 9:05", DOTTED, datetime(2024, 2, 1, 9, 5, tzinfo=UTC)),
        ("1.2.2024 9:05", "%-d.%-m.%Y %-H:%M", datetime(2024, 2, 1, 9, 5, tzinfo=UTC)),
        ("31.12.2023", "%d.%m.%Y", datetime(2023, 12, 31, tzinfo=UTC)),
        ("20231231", "%Y%m%d", datetime(2023, 12, 31, tzinfo=UTC)),
        ("20231231140500", "%Y%m%d%H%M%S", AT),
        ("31/12/23 14:05", "%d/%m/%y %H:%M", AT),
        ("31/12/70", "%d/%m/%y", datetime(1970, 12, 31, tzinfo=UTC)),
        ("31/12/69", "%d/%m/%y", datetime(2069, 12, 31, tzinfo=UTC)),
        ("12/31/2023 2:05 PM", "%m/%d/%Y %I:%M %p", AT),
        ("12/31/2023 02:05pm", "%m/%d/%Y %l:%M%P", AT),
        ("12/31/23, 02:05:00 PM", "%D, %r", AT),
        ("31 Dec 2023 14:05", "%d %b %Y %R", AT),
        ("December 31, 2023 14:05", "%B %d, %Y %H:%M", AT),
        ("Sunday, 31 DEC 2023 14:05", "%A, %d %B %Y %H:%M", AT),
        ("Sun Dec 31 14:05:00 2023", "%c", AT),
        ("2023365 14:05", "%Y%j %H:%M", AT),
        (" 1-Jan-2024", "%v", datetime(2024, 1, 1, tzinfo=UTC)),
        ("1/ 1/2024  9:05", "%d/%_m/%Y %k:%M", datetime(2024, 1, 1, 9, 5, tzinfo=UTC)),
        ("1/1/2024  9:05", "%e/%m/%Y %k:%M", datetime(2024, 1, 1, 9, 5, tzinfo=UTC)),
        ("31.12.2023 um 14.05 Uhr (100%)", "%d.%m.%Y um %H.%M Uhr (100%%)", AT),
        ("31.12.2023 14:05:00.5", "%d.%m.%Y %T%.f", AT + timedelta(milliseconds=500)),
        ("31.12.2023 14:05:00", "%d.%m.%Y %T%.f", AT),
        ("31.12.2023 14:05:00,250", "%d.%m.%Y %T,%3f", AT + timedelta(milliseconds=250)),
        ("31.12.2023 14:05:00.000001", "%d.%m.%Y %T%.6f", AT + timedelta(microseconds=1)),
        ("31.12.2023 14:05 +0200", f"{DOTTED} %z", AT - timedelta(hours=2)),
        ("31.12.2023 14:05+02:00", f"{DOTTED}%:z", AT - timedelta(hours=2)),
        ("31.12.2023 14:05Z", f"{DOTTED}%#z", AT),
        ("31.12.2023 14:05-03", f"{DOTTED}%#z", AT + timedelta(hours=3)),
    ],
)
def test_a_text_that_fits_the_format_is_the_moment_that_it_says(text, form, moment):
    assert read([text], form) == [(moment, "")]


@pytest.mark.parametrize(
    "text",
    [
        "31.12.2023 14:05x",
        "31.12.2023 14:05:00",
        "x31.12.2023 14:05",
        "31.12.2023",
        "31.12.2023  14:05",
        "31. 12.2023 14:05",
        "31.12.2023\t14:05",
        "31.12.2023\N{NO-BREAK SPACE}14:05",
        "31.12.23 14:05",
        "31.12.+2023 14:05",
        "31.12.-2023 14:05",
        "31.12.12023 14:05",
        "31.12.2023 24:00",
        "31.12.2023 14:60",
        "31.12.2023 14:5",
        "30.02.2023 14:05",
        "29.02.2023 14:05",
        "32.01.2023 14:05",
        "00.01.2023 14:05",
        "12.31.2023 14:05",
        "٣١.12.2023 14:05",
        "\uff13\uff11.12.2023 14:05",
        "31,12,2023 14:05",
        "31.12.2023 14:05 +0200",
    ],
)
def test_a_text_that_does_not_fit_as_a_whole_breaks_format_alone(text):
    assert read([text], DOTTED) == [(None, "format")]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("31.12.2023 14:05:60", "%d.%m.%Y %H:%M:%S"),
        ("31.12.2023 14:05:00.", "%d.%m.%Y %H:%M:%S%.f"),
        ("31.12.2023 14:05:00.5", "%d.%m.%Y %H:%M:%S%.3f"),
        ("31.12.2023", "%d.%m.%y"),
        ("1.2.3", "%d.%m.%y"),
        ("2023123", "%Y%m%d"),
        ("2023366", "%Y%j"),
        ("13/31/2023 2:05 PM", "%m/%d/%Y %I:%M %p"),
        ("12/31/2023 0:05 AM", "%m/%d/%Y %I:%M %p"),
        ("Monday, 31 December 2023", "%A, %d %B %Y"),
        ("31 Dez 2023", "%d %b %Y"),
        ("31.12.2023 14:05", f"{DOTTED} %z"),
        ("31.12.2023 14:05 +24:00", f"{DOTTED} %z"),
        ("31.12.2023 14:05 Z", f"{DOTTED} %z"),
    ],
)
def test_what_a_forgiving_reader_would_take_breaks_format(text, form):
    assert read([text], form) == [(None, "format")]


def test_without_a_zone_in_the_format_it_is_a_local_time():
    assert read(["31.12.2023 14:05"], DOTTED, zone=None) == [(None, "timezone")]
    there = AT.replace(tzinfo=ZoneInfo("Asia/Jerusalem")).astimezone(UTC)
    assert read(["31.12.2023 14:05"], DOTTED, zone="Asia/Jerusalem") == [(there, "")]
    assert read(["31.03.2024 02:30"], DOTTED, zone="Europe/Berlin") == [(None, "nonexistent")]
    assert read(["31.12.2023 14:05 +0000"], f"{DOTTED} %z", zone=None) == [(AT, "")]


def test_the_forms_that_are_always_known_hold_beside_it():
    known = ["2023-12-31T14:05:00Z", "2023-12-31 14:05", "1704031500", "2023-12-31T14:05+00:00"]
    assert read([*known, "31.12.2023 14:05"], DOTTED) == [(AT, "")] * 5
    assert read(["2023-12-31", None, " "], DOTTED) == [
        (datetime(2023, 12, 31, tzinfo=UTC), ""),
        (None, ""),
        (None, ""),
    ]


def test_of_several_formats_the_first_that_fits_counts():
    days, months = "%d/%m/%Y", "%m/%d/%Y"
    march, may = (datetime(2024, 5, 3, tzinfo=UTC), ""), (datetime(2024, 3, 5, tzinfo=UTC), "")
    assert read(["03/05/2024"], days, months) == [march]
    assert read(["03/05/2024"], months, days) == [may]
    late = (datetime(2024, 12, 31, tzinfo=UTC), "")
    assert read(["31/12/2024", "12/31/2024"], days, months) == [late, late]
    mixed = ["31.12.2023 14:05", "31.12.2023 16:05 +0200"]
    assert read(mixed, DOTTED, f"{DOTTED} %z") == [(AT, ""), (AT, "")]
    assert read(mixed, DOTTED, f"{DOTTED} %z", zone=None) == [(None, "timezone"), (AT, "")]


def test_a_format_comes_before_a_known_form_of_the_same_text():
    assert read(["20231231140500"], "%Y%m%d%H%M%S") == [(AT, "")]
    assert read(["2024-05-03"], "%Y-%d-%m") == [(datetime(2024, 3, 5, tzinfo=UTC), "")]


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["31.12.2023 14:05", "x"])])
def test_categories_are_texts(dtype):
    assert read(["31.12.2023 14:05", "x", None], DOTTED, dtype=dtype) == [
        (AT, ""),
        (None, "format"),
        (None, ""),
    ]


def test_a_number_in_digits_of_a_form_is_read_so_and_any_other_is_an_epoch_or_nothing():
    steps = check_time(pl.Int64(), timezone="UTC", now=LATE, formats=["%Y%m%d"])
    checked = Checked.from_steps(pl.col("raw"), steps)
    frame = pl.DataFrame({"raw": [20231231, 1704031500, 20231301]})
    midnight = datetime(2023, 12, 31, tzinfo=UTC)
    assert frame.select(checked.value).to_series().to_list() == [midnight, AT, None]


FORMATS = st.sampled_from(
    [
        "%d.%m.%Y %H:%M:%S%.6f",
        "%m/%d/%Y %I:%M:%S.%6f %p",
        "%Y/%m/%d %H:%M:%S,%6f",
        "%Y%m%d%H%M%S%6f",
        "%A, %d %B %Y, %T%.6f",
        "%e-%b-%Y %k:%M:%S%.6f",
        "%Y-%j %H.%M.%S%.6f",
    ]
)
LOCAL = st.datetimes(datetime(1000, 1, 1), datetime(9990, 12, 31))
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.builds(lambda at, zone: at.replace(tzinfo=zone), LOCAL, OFFSETS)


def formatted(moment: datetime, form: str) -> str:
    """What chrono writes, by Python's own strftime."""
    micros = f"{moment.microsecond:06}"
    plain = form.replace("%.6f", f".{micros}").replace("%6f", micros).replace("%:z", "%z")
    plain = plain.replace("%k", f"{moment.hour:>2}").replace("%e", f"{moment.day:>2}")
    return moment.strftime(plain)


@settings(max_examples=30, deadline=None)
@given(st.lists(MOMENTS, min_size=1), FORMATS, st.sampled_from([None, " %z", "%:z"]))
def test_any_moment_written_in_a_format_is_read_back_as_that_moment(moments, form, zone):
    texts: list[str | None] = [formatted(each, f"{form}{zone or ''}") for each in moments]
    expected = [
        (each.astimezone(UTC) if zone else each.replace(tzinfo=UTC), "") for each in moments
    ]
    assert read(texts, f"{form}{zone or ''}") == expected


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text("0123456789./: -+APMZ", max_size=20), min_size=1),
    st.lists(st.sampled_from([DOTTED, "%d.%m.%Y", "%m/%d/%y", f"{DOTTED} %z"]), max_size=3),
)
def test_a_text_in_no_form_changes_nothing_for_the_forms_that_are_known(texts, formats):
    """What a format takes has the characters of its form; every other text is read as without."""
    taken = [each for each in texts if any(mark in each.strip()[:6] for mark in "./")]
    plain = dict(zip(texts, read(list(texts)), strict=True))
    for text, found in zip(texts, read(list(texts), *formats), strict=True):
        assert text in taken or found == plain[text]


@pytest.mark.parametrize("parts", [1, 5])
def test_a_job_of_one_part_or_many_reads_such_times_and_rejects_the_others(tmp_path, parts):
    texts = [f"{number % 28 + 1}.03.2024 10:{number:02}" for number in range(30)]
    frame = pl.DataFrame(
        {
            "at": [*texts, "2024-03-01T08:00:00Z", "03/31/2024", None],
            "user": [f"00000000-0000-4000-8000-{number:012}" for number in range(33)],
            "name": ["Ada"] * 33,
            "lang": ["en", "xx!"] * 16 + ["en"],
        }
    )
    frame.write_csv(tmp_path / "events.csv")
    job = prepare_in(
        tmp_path,
        "pristo-events",
        None,
        parts=parts,
        events={
            "files": "events.csv",
            "time": "at",
            "timezone": "Asia/Jerusalem",
            "time_format": ["%d.%m.%Y %H:%M"],
        },
        fields={
            "contact.id": "user",
            "contact.email": {"value": "a@example.com"},
            "contact.language": "lang",
            "type": {"value": "purchase"},
        },
        rules={"drop_invalid": ["contact.language"]},
    )
    assert job.bodies[0]["occurredAt"] == "2024-03-01T08:00:00Z"
    assert job.bodies[29]["occurredAt"] == "2024-03-02T08:29:00Z"
    assert job.bodies[30]["occurredAt"] == "2024-03-01T08:00:00Z"
    assert job.reasons == {
        32: "contact.language|language;occurredAt|format",
        33: "occurredAt|required",
    }
    assert job.manifest.dropped == {"contact.language|language": 15}
    assert job.manifest.shape["events"]["time_format"] == ["%d.%m.%Y %H:%M"]
