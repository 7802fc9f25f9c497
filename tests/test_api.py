"""What a notebook says by keyword is what a file would say."""

from __future__ import annotations

import polars as pl
import pytest

import backfill
from backfill.core.errors import ConfigError

POPULATION = "5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"
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


def test_a_notebook_has_a_configuration_written_and_plans_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = {
        "user_id": [f"00000000-0000-4000-8000-{number:012}" for number in range(9)],
        "email": [f"user{number}@example.com" for number in range(9)],
        "event": ["signup"] * 9,
        "created_at": [f"2024-03-0{number + 1}T10:00:00Z" for number in range(9)],
    }
    pl.DataFrame(rows).write_csv("events.csv")
    written = backfill.init("events.csv", destination="pristo-events")
    assert str(written) == "events.toml"
    text = written.read_text().replace('population  = "?"', f'population = "{POPULATION}"')
    with pytest.raises(ConfigError, match="exists already"):
        backfill.init("events.csv", destination="pristo-events")
    written.write_text(text)
    assert backfill.plan(written).status().books.pending == 9


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
