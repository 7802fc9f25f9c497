"""The order of day and month is what the sample shows, and a question where it shows nothing."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill import plan
from backfill.config.placeholders import open_questions
from backfill.discover.times.dates import Written
from tests.discover.frames import IDS, PHONES, contacts, events, profile, profiled, proposed
from tests.discover.test_writing import loaded, written

DAYS = [date(2024, 1, 1) + timedelta(days=9 * number) for number in range(40)]


def form(*texts: str | None) -> Written | None:
    return profile([*texts]).written


def test_a_common_form_is_recognised():
    texts = [
        *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y, %H:%M"),
        *("%d/%m/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p"),
        *("%m/%d/%Y, %I:%M:%S %p", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%d-%m-%Y"),
        *("%d %B %Y", "%d-%B-%Y %H:%M", "%B %d, %Y", "%B %d, %Y %I:%M %p", "%m/%d/%y %H:%M"),
        *("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%a, %d %b %Y %H:%M:%S GMT"),
    ]
    found = profiled(
        pl.DataFrame({text: [f"{day:{text}}" for day in DAYS] for text in texts}), "events"
    )
    assert {each.name: each.written for each in found} == {
        text: Written((text,), 1.0) for text in texts
    }


@pytest.mark.parametrize(
    ("texts", "written_so"),
    [
        (
            ["Tue, 02 Jan 2024 10:00:00 +0000", "Wed, 3 Jan 2024 10:00:00 -0500"],
            "%a, %d %b %Y %H:%M:%S %z",
        ),
        (["02/Jan/2024:10:00:00 +0000"], "%d/%b/%Y:%H:%M:%S %z"),
        (["20240102T100000Z", "20240102T100000+0200"], "%Y%m%dT%H%M%S%#z"),
    ],
)
def test_a_form_with_a_zone_asks_for_none(texts, written_so):
    found = form(*texts)
    assert found == Written((written_so,), 1.0)
    assert found.zoned
    proposal, _ = proposed("pristo-events", events(at=(texts * 40)[:40]))
    assert "timezone" not in written(proposal)


def test_days_and_months_of_one_digit_are_dates_too():
    assert form(*[f"{day.day}.{day.month}.{day.year}" for day in DAYS]) == Written(("%d.%m.%Y",), 1)


def test_what_stands_first_is_told_by_numbers_that_are_no_month_or_too_many_for_years():
    cases = [
        (["13/05/2024", "03/05/2024"], "%d/%m/%Y", ()),
        (["05/13/2024", "03/05/2024"], "%m/%d/%Y", ()),
        (["12/12/2024", "03/05/2024"], "%d/%m/%Y", ("%m/%d/%Y",)),
        (["03.05.2024 10:00"], "%d.%m.%Y %H:%M", ("%m.%d.%Y %H:%M",)),
        (["2024/05/03"], "%Y/%m/%d", ()),
        (["24/01/13", "24/01/14"], "%d/%m/%y", ("%y/%m/%d",)),
        (["01/02/03"], "%d/%m/%y", ("%m/%d/%y", "%y/%m/%d")),
        (["13.01.24 10:00"], "%d.%m.%y %H:%M", ("%y.%m.%d %H:%M",)),
        (["13.01.75 10:00"], "%d.%m.%y %H:%M", ()),
        ([f"{day:02}.01.24" for day in range(1, 14)], "%d.%m.%y", ()),
        ([f"20.01.{day:02}" for day in range(1, 14)], "%d.%m.%y", ("%y.%m.%d",)),
    ]
    columns = {
        str(number): [*texts, *[None] * (13 - len(texts))]
        for number, (texts, _, _) in enumerate(cases)
    }
    assert [each.written for each in profiled(pl.DataFrame(columns), "events")] == [
        Written((first,), 1.0, tuple((each,) for each in others)) for _, first, others in cases
    ]


def test_values_that_contradict_each_other_leave_it_open():
    found = form("13/05/2024", "05/13/2024", "03/05/2024")
    assert found == Written(("%d/%m/%Y",), 1.0, (("%m/%d/%Y",),), torn=True)


def test_a_column_that_mixes_forms_has_all_of_them_the_frequent_one_first():
    found = form(*["05/13/2024 10:00"] * 5, *["14.05.2024"] * 3, "Mar 5, 2024", "2024-05-13")
    assert found == Written(("%m/%d/%Y %H:%M", "%d.%m.%Y", "%B %d, %Y"), 0.9)


def test_a_form_of_some_values_beside_a_known_one_is_told():
    found = form(*["2024-05-13T10:00:00Z"] * 7, *["13.05.2024 10:00"] * 3)
    assert found == Written(("%d.%m.%Y %H:%M",), 0.3)


def test_one_form_that_cannot_be_told_leaves_the_list_open():
    found = form(*["13.05.2024"] * 3, *["03/05/2024"] * 2)
    assert found is not None
    assert found.formats == ("%d.%m.%Y", "%d/%m/%Y")
    assert found.others == (("%d.%m.%Y", "%m/%d/%Y"),)


def test_a_column_that_mixes_forms_is_the_time_and_plans_whole(tmp_path):
    at = ["2024-05-13T10:00:00Z", "13.05.2024 11:00", "05/31/2024 1:30 PM", "Mar 5, 2024"]
    proposal, _ = proposed("watch-events", events(at=at * 10), contacts())
    assert proposal.time is not None
    config = loaded(written(proposal))
    assert set(config.events.time_format) == {"%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%B %d, %Y"}
    fields = {"target.value": "phone", "label": {"value": "a"}, "confidence": {"value": "low"}}
    found = plan(
        destination="watch-events",
        events=pl.DataFrame({"phone": PHONES[:4], "at": at}),
        time="at",
        timezone="UTC",
        time_format=config.events.time_format,
        fields=fields,
        job=tmp_path / "a.job",
    )
    assert found.manifest.ready == 4


def test_a_column_of_dates_with_and_without_a_clock_has_both_forms_the_frequent_one_first():
    found = form("13.05.2024 10:00", "14.05.2024 11:00", "15.05.2024", "soon", None)
    assert found == Written(("%d.%m.%Y %H:%M", "%d.%m.%Y"), 0.75)


@pytest.mark.parametrize(
    "values",
    [
        ["2024-05-13", "2024-05-14T10:00:00Z"],
        ["+12025550143"],
        ["192.168.1.12"],
        ["31.02.2024", "99/99/2024"],
        ["soon", "later", "31.01.2024"],
        [1, 2],
        [None],
        ["1.2.24"],
    ],
)
def test_what_is_in_a_known_form_or_in_none_of_the_common_ones_is_left_alone(values):
    assert profile(values).written is None


@settings(max_examples=12, deadline=None)
@given(st.lists(st.dates(date(1900, 1, 1), date(2100, 1, 1)), min_size=1), st.booleans())
def test_what_is_proposed_without_a_question_reads_every_date_as_it_was_meant(days, month_first):
    text = "%m/%d/%Y" if month_first else "%d/%m/%Y"
    found = form(*[f"{day:{text}}" for day in days])
    assert found is not None
    assert found.share == 1
    if found.others:
        assert {found.formats, *found.others} == {("%d/%m/%Y",), ("%m/%d/%Y",)}
        assert all(day.day <= 12 for day in days)
    else:
        assert found.formats == (text,)


def test_the_form_is_written_beside_the_time_and_the_zone_is_asked_for():
    at = [f"{day:%d.%m.%Y} 10:00" for day in DAYS]
    proposal, _ = proposed("watch-events", events(at=at), contacts())
    text = written(proposal)
    assert [each.place for each in open_questions(tomllib.loads(text))] == [
        "[events] timezone",
        "[fields] confidence",
    ]
    config = loaded(text)
    assert (config.events.time, config.events.time_format) == ("at", ("%d.%m.%Y %H:%M",))


def test_of_two_unnamed_columns_of_dates_the_one_with_a_clock_is_the_time():
    days = [f"{day:%d.%m.%Y}" for day in DAYS]
    clocked = [f"{day} 10:00" for day in days]
    proposal, _ = proposed("watch-events", events(at=None, geboren=days, wann=clocked), contacts())
    assert proposal.time is not None
    assert proposal.time.name == "wann"


def test_several_forms_are_written_as_a_list():
    at = [f"{day:%d.%m.%Y}" + " 10:00" * (day.day > 20) for day in DAYS]
    proposal, _ = proposed("watch-events", events(at=at), contacts())
    assert loaded(written(proposal)).events.time_format == ("%d.%m.%Y", "%d.%m.%Y %H:%M")


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (["03/05/2024 10:00", "04/05/2024 10:00"], "no sampled value has a number above 12"),
        (["13/05/2024 10:00", "05/13/2024 10:00"], "some sampled values fit only the one"),
    ],
)
def test_an_order_that_cannot_be_told_is_a_question_that_names_both_answers(at, why):
    proposal, _ = proposed("watch-events", events(at=at * 20), contacts())
    text = written(proposal)
    questions = open_questions(tomllib.loads(text))
    assert [each.place for each in questions][:2] == ["[events] time_format", "[events] timezone"]
    assert "the day comes first" in questions[0].asked
    flat = " ".join(text.replace("\n# ", " ").split())
    assert f'time_format = "%d/%m/%Y %H:%M" or "%m/%d/%Y %H:%M": {why}' in flat


def test_a_column_of_such_dates_is_no_key_and_no_code():
    proposal, fields = proposed(
        "pristo-events",
        events(user_id=None, at=["13.05.2024"] * 40, customer=IDS[:20] * 2),
        contacts(joined=["13.05.2024"] * 40),
    )
    assert proposal.join is not None
    assert proposal.join.events.name == "customer"
    assert "events.at" not in fields.values()
    assert not profile(["13.05.2024", "14.05.2024"] * 20).coded
