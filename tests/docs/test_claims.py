"""What the explanations say in numbers and examples is what the program does."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import polars as pl
import pytest

from backfill.checks.fields import check
from backfill.config import Rules
from backfill.config.time_formats import read_time_format
from backfill.deliver.http import response_reader, transport
from backfill.deliver.pacing import health
from backfill.deliver.run import error_budget
from backfill.destination import Field, Kind
from tests.docs.pages import ROOT

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _page(name):
    return (ROOT / "docs" / "explain" / f"{name}.md").read_text(encoding="utf-8")


def _broken(field, text, *, rules=None, timezone=None, time_format=()):
    """The rules that a text breaks, and its value."""
    checked = check(
        field,
        pl.col("raw"),
        pl.String(),
        rules=rules or Rules(),
        timezone=timezone,
        now=_NOW,
        time_format=time_format,
    )
    row = pl.DataFrame({"raw": [text]}).select(
        checked.value.alias("value"), *(rule.alias(name) for name, rule in checked.broken)
    )
    return {name for name, _ in checked.broken if row[name][0]}, row["value"][0]


def _written_times():
    table = _page("times").partition("## Without a zone")[0]
    shown = [each for line in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
             for each in re.findall(r"`([^`]+)`", line)]  # fmt: skip
    return [each.replace("… ", "2024-03-01 09:15:00 ") for each in shown]


def test_the_table_of_times_is_found():
    assert len(_written_times()) > 10


@pytest.mark.parametrize("text", _written_times())
def test_each_way_to_write_a_time_is_understood(text):
    broken, value = _broken(Field("at", Kind.TIME), text, timezone="UTC")
    assert broken == set()
    assert value.year == 2024


@pytest.mark.parametrize("text", ["20240131", "01/03/2024", "March 1, 2024"])
def test_what_is_called_no_time_is_none(text):
    assert text in _page("times")
    broken, _ = _broken(Field("at", Kind.TIME), text, timezone="UTC")
    assert broken == {"format"}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("31.12.2023 14:05", True),
        ("1.2.2024 9:05", True),
        ("31.12.23", False),
        ("31.12.2023 24:00", False),
        ("31.12.2023 14:05 Uhr", False),
    ],
)
def test_what_is_said_to_fit_a_form_of_ones_own_does_and_no_other_text(text, fits):
    form = "%d.%m.%Y %H:%M"
    assert text in _page("times")
    assert f"`{form}`" in _page("times")
    broken, _ = _broken(Field("at", Kind.TIME), text, timezone="UTC", time_format=[form])
    assert broken == (set() if fits else {"format"})


_NOTATION = (
    *("%m/%d/%y", "%d %b %Y", "%d %B %Y", "%a %F", "%A %F", "%Y-%m-%d", "%Y %j %%"),
    *("%d.%m.%Y %H:%M", "%F %I:%M %p", "%H:%M:%S %F", "%F %T%.f", "%F %T,%3f", "%F %T%z"),
    *("%F %T%#z", "%d.%m.%Y %H:%M:%S"),
)


def test_each_notation_that_is_shown_is_known():
    table = "".join(re.findall(r"^\| (`%.+) \|$", _page("times"), re.MULTILINE))
    shown = set(re.findall("%[.#3]?[a-zA-Z%]", table))
    assert len(shown) > 18
    assert shown <= set(re.findall("%[.#3]?[a-zA-Z%]", "".join(_NOTATION)))
    for form in _NOTATION:
        read_time_format(form)


@pytest.mark.parametrize(
    ("text", "region", "value"),
    [
        ("+44 20 7946-0018", None, "+442079460018"),
        ("+44 (20) 7946.0018", None, "+442079460018"),
        ("+44 (0)20 7946 0018", None, "e164"),
        ("020 7946 0018", None, "e164"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("44 20 7946 0018", "GB", "+442079460018"),
        ("00 1 202 555 0143", "GB", "+12025550143"),
        ("12025550143", "IL", "e164"),
        *((text, "IL", "float") for text in ("972550000188.0", "+12025550143.50", "550000188,0")),
        *((text, "IL", "float") for text in ("9.7255E+11", "1e10", "972,550,000,188")),
        ("+1 202 555 0143 x12", "IL", "extension"),
        ("+12025550143;ext=4", "IL", "extension"),
        ("055-0000188 (5)", "IL", "extension"),
        ("+12025550143,,44", "IL", "extension"),
        ("+12025550143, +12025550144", "IL", "several"),
        ("055-0000188/9", "IL", "several"),
    ],
)
def test_phones_are_tidied_up_as_the_page_says(text, region, value):
    assert text in _page("phones")
    broken, found = _broken(Field("p", Kind.PHONE), text, rules=Rules(phone_region=region))
    assert (broken, found) == (set(), value) if value.startswith("+") else broken == {value}


@pytest.mark.parametrize(
    ("page", "words", "number"),
    [
        ("guarantee", "only once {} records were delivered", error_budget.FAIR_SAMPLE),
        ("responses-and-states", "{} unclear answers in a row", health.DOWN_AFTER),
        ("responses-and-states", "idle for a {} is not used again", transport.IDLE_SECONDS),
        ("security", "read up to {} KiB", response_reader.MOST_BODY / 1024),
    ],
)
def test_numbers_are_those_of_the_program(page, words, number):
    said = {10: "Ten", 1: "second"}.get(number, f"{number:g}")
    text = " ".join(_page(page).split())
    assert words.format(said) in text
