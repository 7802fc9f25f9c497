"""What a plan remarks about its sources as a whole."""

from __future__ import annotations

import pytest

from backfill import plan


@pytest.mark.parametrize(("days", "rows", "said"), [(1, 40, True), (2, 40, False), (1, 5, False)])
def test_one_time_of_all_records_is_named(tmp_path, days, rows, said):
    lines = [
        f"+1202555{number % 25:04},{('login', 'buy')[number % 2]},2024-05-0{number % days + 1}"
        for number in range(rows)
    ]
    (tmp_path / "e.csv").write_text("\n".join(["phone,event,exported_at", *lines]), "utf-8")
    job = plan(
        destination="watch-events",
        events={"files": tmp_path / "e.csv", "timezone": "UTC"},
        time="exported_at",
        fields={"target.value": "phone", "label": "event", "confidence": {"value": "low"}},
        job=tmp_path / "e.job",
    )
    notes = [each for each in job.manifest.facts.warnings if "one and the same time" in each]
    assert bool(notes) is said
    assert not said or f"all {rows} records" in notes[0]


@pytest.mark.parametrize(
    ("times", "said"), [(["240131101112"], True), (["240131101112", "1706692272"], False)]
)
def test_times_of_long_ago_are_named(tmp_path, times, said):
    lines = [f"+1202555014{number},login,{time}" for number, time in enumerate(times)]
    (tmp_path / "e.csv").write_text("\n".join(["phone,event,at", *lines]), "utf-8")
    job = plan(
        destination="watch-events",
        events=tmp_path / "e.csv",
        time="at",
        fields={"target.value": "phone", "label": "event", "confidence": {"value": "low"}},
        job=tmp_path / "e.job",
    )
    notes = [each for each in job.manifest.facts.warnings if "the last time is of 1977" in each]
    assert bool(notes) is said
