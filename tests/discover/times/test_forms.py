"""Times as tools and people write them get the form in which a plan reads the right moment."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill import plan
from backfill.checks.times import check_time
from backfill.config.time_formats import read_time_format
from backfill.discover import draft_config
from backfill.discover.columns import ColumnProfile
from backfill.discover.times.dates import written_form
from backfill.discover.times.forms import form_of
from backfill.discover.times.zones import zone_said
from tests.checks.judged import judged_values
from tests.discover.frames import PHONES, events, profile, profiled, proposed
from tests.discover.test_writing import written

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = datetime(2024, 1, 13, 9, 5, 7, 120_000)  # noqa: DTZ001 - a local time
CLOCKS = [START + timedelta(days=9 * number, minutes=61 * number) for number in range(40)]


class Way(NamedTuple):
    """How a tool writes local times (strftime, `MMM` for milliseconds), what init makes of it, and
    the zone: what it says, or None where that is asked for.
    """

    tool: str
    wrote: str
    form: str
    zone: str | None = None


WAYS = (
    Way("nginx", "[%d/%b/%Y:%H:%M:%S -0700]", "[%d/%b/%Y:%H:%M:%S %z]", "-07:00"),
    Way("mail", "%d %b %Y %H:%M:%S +0000", "%d %B %Y %H:%M:%S %z", "+00:00"),
    Way("mbox", "%a, %d %b %Y %H:%M:%S +0200 (CEST)", "%a, %d %b %Y %H:%M:%S %z (CEST)", "+02:00"),
    Way("smtp", "%a, %d %b %Y %H:%M:%S EST", "%a, %d %b %Y %H:%M:%S EST"),
    Way("Stripe", "%d/%m/%Y %H:%M:%S UTC", "%d/%m/%Y %H:%M:%S UTC", "UTC"),
    Way("C", "%a %b %d %H:%M:%S %Y", "%a %B %d %H:%M:%S %Y"),
    Way("date", "%a %b %d %H:%M:%S UTC %Y", "%a %B %d %H:%M:%S UTC %Y", "UTC"),
    Way("Java", "%a %b %d %H:%M:%S JST %Y", "%a %B %d %H:%M:%S JST %Y"),
    Way(
        "JavaScript",
        "%a %b %d %Y %H:%M:%S GMT+0100 (Central European Standard Time)",
        "%a %B %d %Y %H:%M:%S GMT%z (Central European Standard Time)",
        "+01:00",
    ),
    Way("Java", "%Y-%m-%dT%H:%M:%S.MMM[Asia/Tokyo]", "%Y-%m-%dT%H:%M:%S%.f[Asia/Tokyo]",
        "Asia/Tokyo"),
    Way("Java", "%Y-%m-%dT%H:%M:%S+09:00[Asia/Tokyo]", "%Y-%m-%dT%H:%M:%S%z[Asia/Tokyo]", "+09:00"),
    Way("Python", "%Y-%m-%d %H:%M:%S,MMM", "%Y-%m-%d %H:%M:%S,%3f"),
    Way("Db2", "%Y-%m-%d-%H.%M.%S.MMM000", "%Y-%m-%d-%H.%M.%S%.f"),
    Way("Oracle", "%d-%b-%y %I.%M.%S.MMM000 %p", "%d-%B-%y %I.%M.%S%.f %p"),
    Way("SAS", "%d%b%Y:%H:%M:%S", "%d%B%Y:%H:%M:%S"),
    Way("SQL Server", "%b %e %Y %I:%M%p", "%B %e %Y %I:%M%p"),
    Way("Excel", "%d.%m.%Y %H:%M Uhr", "%d.%m.%Y %H:%M Uhr"),
    Way("Excel", "%A, %B %d, %Y %I:%M %p", "%A, %B %d, %Y %I:%M %p"),
    Way("Chrome", "%m/%d/%Y, %I:%M:%S\u202f%p", "%m/%d/%Y, %I:%M:%S\u202f%p"),
    Way("Excel", "%d/%m/%Y à %Hh%M", "%d/%m/%Y à %Hh%M"),
    Way("Salesforce", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M:%S %p"),
    Way("Rails", "%Y/%m/%d %H:%M:%S -0330", "%Y/%m/%d %H:%M:%S %z", "-03:30"),
    Way("ERP", "%Y%m%d %H%M%S", "%Y%m%d %H%M%S"),
    Way("ERP", "%Y%m%d%H%M%SMMM", "%Y%m%d%H%M%S%3f"),
    Way("AWS", "%Y%m%dT%H%M%S.MMMZ", "%Y%m%dT%H%M%S%.f%#z", "+00:00"),
)  # fmt: skip


def texts_of(wrote: str) -> list[str]:
    """The clocks so written."""
    millis = [f"{clock.microsecond // 1000:03}" for clock in CLOCKS]
    return [
        f"{clock:{wrote.replace('MMM', part)}}" for clock, part in zip(CLOCKS, millis, strict=True)
    ]


def meant(wrote: str, zone: str) -> list[datetime]:
    """The moments that these texts are."""
    finest = "MMM" in wrote, "%S" in wrote
    found = []
    for clock in CLOCKS:
        shown = clock if finest[0] else clock.replace(microsecond=0)
        shown = shown if finest[1] else shown.replace(second=0)
        offset = (
            datetime.fromisoformat(f"2024-01-01T00:00:00{zone}").tzinfo if ":" in zone else None
        )
        found.append(shown.replace(tzinfo=offset or ZoneInfo(zone)).astimezone(UTC))
    return found


@pytest.fixture(scope="module")
def profiles() -> dict[str, ColumnProfile]:
    """How the texts of each way look."""
    texts = pl.DataFrame({way.form: texts_of(way.wrote) for way in WAYS})
    return {each.name: each for each in profiled(texts, "events")}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.tool} {way.form}")
def test_what_is_proposed_reads_the_moments_that_are_meant(way, profiles):
    texts = texts_of(way.wrote)
    found = profiles[way.form].written
    assert found is not None
    assert (found.formats, found.share, found.asked) == ((way.form,), 1.0, False)
    said = zone_said(found)
    if way.zone is not None and ":" in way.zone:
        assert found.zoned
    else:
        assert (said.name if said else None) == way.zone
    zone = way.zone or "America/New_York"
    local = None if ":" in zone else zone
    steps = check_time(pl.String(), timezone=local, now=NOW, formats=found.formats)
    assert judged_values(pl.Series(texts), steps).rows() == [
        (moment, "") for moment in meant(way.wrote, zone)
    ]


def test_one_form_stands_for_those_that_it_reads_as_well():
    texts = ["Jan  3 2024 10:00:00", "Jan 13 2024 10:00:00.5", "Jan 14 2024 10:00:00"]
    found = profile(texts).written
    assert found is not None
    assert (found.formats, found.share) == (("%B %e %Y %H:%M:%S%.f",), 1.0)


@pytest.mark.parametrize(
    "text",
    ["1.2.24", "192.168.1.12", "10.0.0.12", "2024-01-13 to 2024-01-14", "2024-01-13 shipped",
     "13.01.2024 10:00 100%", "+12025550143", "240113", "2024-W02-6", "order 20240113", ""],
)  # fmt: skip
def test_what_is_more_than_a_time_has_no_form(text):
    assert pl.select(form_of(pl.lit(text))).item() is None


PIECES = st.sampled_from(
    [*"0123456789 :/.-,+TZ%[]()", "13", "01", "2024", "10:00", "Jan", "Saturday", "PM", "UTC", "à"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join), st.integers(1, 30))
def test_whatever_a_form_is_made_of_it_is_read_as_it_says_or_left_alone(text, count):
    counts = pl.DataFrame({"inner": [text], "count": [count]})
    found = written_form(counts)
    if found is not None:
        assert found.share == 1
        assert all(read_time_format(each) for each in found.formats)


def test_a_name_of_a_zone_that_is_one_of_the_world_is_taken_and_any_other_one_is_asked_for():
    def lines(*texts: str) -> str:
        proposal, _ = proposed("pristo-events", events(at=[*texts] * (40 // len(texts))))
        return " ".join(written(proposal).split())

    day = "2024-01-13 10:00:00"
    assert 'timezone = "Asia/Tokyo"' in lines(f"{day} Asia/Tokyo")
    assert 'timezone = "?" # what "EST" stands for, such as "Etc/GMT+5"' in lines(f"{day} EST")
    assert 'timezone = "?" # a place that has "EDT" and "EST", such as "America/New_York"' in lines(
        f"{day} EST", f"{day} EDT"
    )
    assert 'timezone = "?" # one zone for all of "JST", "PST"' in lines(f"{day} JST", f"{day} PST")
    assert 'timezone = "?" # the zone of these times' in lines(f"{day} EST", "13.01.2024 10:00")
    assert 'timezone = "UTC" # as they say' in lines("13.01.2024 10:00 GMT", "13.01.2024 10:00 UTC")


@pytest.mark.parametrize(
    ("digits", "form", "readings"),
    [
        ("240113100000", "%y%m%d%H%M%S", "2024-01-13 10:00:00. As an epoch it is 1977-08-11"),
        ("1701131000", "%y%m%d%H%M", "2017-01-13 10:00:00. As an epoch it is 2023-11-28"),
    ],
)
def test_digits_that_are_a_date_as_well_as_an_epoch_are_a_question(digits, form, readings):
    others = [str(int(digits) + number) for number in range(1, 20)]
    proposal, _ = proposed("pristo-events", events(at=[digits, *others] * 2))
    text = written(proposal)
    asked = tomllib.loads(text)["events"]
    assert (asked["time"], asked["time_format"], asked["timezone"]) == ("at", "?", "?")
    flat = " ".join(text.replace("\n# ", " ").split())
    assert f'time_format = "{form}" reads {digits} as {readings}' in flat


def test_epochs_of_which_one_is_no_date_are_epochs():
    assert profile(["240113100000", "240113106000"]).written is None
    assert profile(["1701131000", "1701133100"]).written is None


def test_numbers_that_are_dates_are_read_so_too():
    found = profile([20240113, 20240114, 20240131]).written
    assert found is not None
    assert found.formats == ("%Y%m%d",)


def test_a_draft_for_a_log_of_a_web_server_plans_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    way = WAYS[0]
    frame = pl.DataFrame({"phone": PHONES, "event": "login", "time": texts_of(way.wrote)})
    frame.write_csv("log.csv")
    draft = draft_config("log.csv", destination_name="watch-events", target=Path("log.toml"))
    assert [each.place for each in draft.questions] == ["[fields] confidence"]
    Path("log.toml").write_text(draft.text.replace('= "?"', '= "low"'), "utf-8")
    job = plan("log.toml")
    assert job.manifest.ready == len(CLOCKS)
    assert job.manifest.facts.first_time == "2024-01-13T16:05:07Z"
