"""What a notebook says by keyword is what a file would say."""

from __future__ import annotations

import polars as pl
import pytest

import backfill
from backfill.core.errors import ConfigError

EVENTS = pl.DataFrame(
    {
        "at": ["31.12.2023 14:05", "31.12.2023"],
        "phone": ["+12025550143"] * 2,
        "event": ["signup", "login"],
    }
)


def planned(place, **more):
    return backfill.plan(
        job=place / "api.job",
        destination="watch-events",
        events=EVENTS,
        fields={"target.value": "phone", "label": "event", "confidence": {"value": "high"}},
        **more,
    )


@pytest.mark.parametrize("several", [False, True])
def test_the_form_of_the_times_is_one_text_or_a_list_of_texts(tmp_path, several):
    form = "%d.%m.%Y %H:%M"
    forms = [form, "%d.%m.%Y"] if several else form
    job = planned(tmp_path, time="at", timezone="UTC", time_format=forms)
    assert job.manifest.reasons == ({} if several else {"time|format": 1})
    assert job.manifest.shape["events"]["time_format"] == ([*forms] if several else [form])


def test_a_form_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no whole date"):
        planned(tmp_path, time="at", time_format="%H:%M")
