"""A format is understood whole, or refused in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from backfill.config import Config, config_from_mapping
from backfill.config.time_formats import read_time_format
from backfill.core.errors import ConfigError


def configured(**events: Any) -> Config:
    content = {
        "destination": "watch-events",
        "events": {"files": "e.csv", **events},
        "fields": {"label": "label"},
    }
    return config_from_mapping(content, directory=Path())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no whole date"),
        ("hello", "no whole date"),
        ("%H:%M", "no whole date"),
        ("%m.%Y", "no whole date"),
        ("%d.%m.%Y %H", "no whole time of day"),
        ("%d.%m.%Y %z", "no whole time of day"),
        ("%d.%m.%Y %S", "no whole time of day"),
        ("%d.%m.%Y %H:%M%.f", "no second"),
        ("%d.%m.%Y %I:%M", "need each other"),
        ("%d.%m.%Y %H:%M %p", "need each other"),
        ("%d.%m.%Y %H:%M:%S.%f", 'is a count of nanoseconds: "%.f"'),
        ("%d.%m.%Y %H:%M %Z", "tells no offset"),
        ("%s", "needs no format"),
        ("%d.%m.%y %Y", "says the year twice"),
        ("%d.%m.%Y %b", "says the month twice"),
        ("%d.%m.%Y %H:%M %I %p", "says the hour twice"),
        ("%d.%m.%Y %Q", "'%Q' in"),
        ("%d.%m.%Y %", "'%' in"),
        ("%G-W%V-%u", "'%G' in"),
    ],
)
def test_a_format_that_cannot_be_meant_is_refused_with_the_configuration(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        configured(time="at", time_format=text)
    assert "[events] time_format: " in str(caught.value)
    assert caught.value.exit_code == 2


def test_one_format_or_a_list_of_them_is_taken():
    assert configured(time="at").events.time_format == ()
    assert configured(time="at", time_format="%d.%m.%Y").events.time_format == ("%d.%m.%Y",)
    both = ["%d.%m.%Y", "%d.%m.%Y %H:%M"]
    assert configured(time="at", time_format=both).events.time_format == tuple(both)
    with pytest.raises(ConfigError, match="no second"):
        configured(time="at", time_format=["%d.%m.%Y", "%d.%m.%Y %H:%M%.f"])


def test_a_format_without_a_time_is_refused():
    with pytest.raises(ConfigError, match="there is no `time`"):
        configured(time_format="%d.%m.%Y")


def test_a_format_shapes_the_bodies_and_so_does_the_order_of_several():
    first, second = "%d/%m/%Y", "%m/%d/%Y"
    shapes = [
        configured(time="at", time_format=formats).digest()
        for formats in ([], [first], [first, second], [second, first])
    ]
    assert len(set(shapes)) == 4


@pytest.mark.parametrize(
    ("text", "zoned"),
    [
        ("%d.%m.%Y %H:%M", False),
        ("%F", False),
        ("%c", False),
        ("%F %T%z", True),
        ("%F %T%:z", True),
        ("%F %T%#z", True),
    ],
)
def test_only_a_zone_in_the_format_makes_a_moment(text, zoned):
    assert read_time_format(text).zoned is zoned
