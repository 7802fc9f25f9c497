"""What times and ids are read as: the same few examples, however the rows were split."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from backfill.prepare.readings import Reading, merged_readings, readings_of
from tests.prepare.prepared import prepare_in

ROWS = st.lists(
    st.builds(
        lambda place, length: Reading(place[0], place[1], length, "x" * length, "y"),
        st.tuples(st.integers(0, 2), st.integers(1, 40)),
        st.integers(0, 6),
    ),
    unique_by=lambda each: (each.file, each.row),
    max_size=30,
)


def taken(rows: list[Reading]) -> dict[str, list[Reading]]:
    return merged_readings({"a": rows}, {})


@given(ROWS, st.integers(1, 5))
def test_parts_make_no_difference(rows, parts):
    found: dict[str, list[Reading]] = {"a": []}
    for number in range(parts):
        found = merged_readings(found, taken(rows[number::parts]))
    names = ["a.csv", "b.csv", "c.csv"]
    assert readings_of(found, names) == readings_of(taken(rows), names)


def test_each_form_has_an_example_before_a_second_one_of_the_same():
    rows = [Reading(0, row, 10, f"0{row}.02.2024", "y") for row in range(1, 9)]
    rows.append(Reading(0, 50, 16, "01.02.2024 10:00", "y"))
    told = readings_of(taken(rows), ["a.csv"])["a"]
    assert [each.row for each in told] == [1, 2, 50]


def test_a_plan_tells_what_times_and_ids_are_read_as(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {
            "user": ["A-17", "B-2", "A-17"],
            "at": ["01.02.2024 10:00", "2024-03-02T09:00:00Z", "13.3.2024"],
        }
    )
    made = prepare_in(
        tmp_path,
        "pristo-events",
        events,
        events={
            "time": "at",
            "timezone": "Asia/Jerusalem",
            "time_format": ["%d.%m.%Y %H:%M", "%d.%m.%Y"],
        },
        fields={
            "contact.id": "user",
            "contact.email": {"value": "a@example.com"},
            "type": {"value": "buy"},
        },
        rules={"contact_id": {"namespace": "00000000-0000-4000-8000-000000000000"}},
    )
    readings = made.manifest.facts.readings
    assert [each.before for each in readings["contact.id"]] == ["A-17", "B-2", "A-17"]
    times = {each.row: (each.before, each.after) for each in readings["occurredAt"]}
    assert times[1] == ("01.02.2024 10:00", "2024-02-01T08:00:00Z")
    assert 2 not in times  # it stands as it is sent


def test_a_column_that_holds_lists_elsewhere_shows_its_single_values(tmp_path: Path) -> None:
    lines = [
        '{"id":"00000000-0000-4000-8000-00000000000A","at":"2024-01-02 03:04:05+01:00"}',
        '{"id":["x"],"at":["x"]}',
    ]
    (tmp_path / "events.ndjson").write_text("\n".join(lines))
    job = prepare_in(
        tmp_path,
        "pristo-events",
        None,
        events={"files": "events.ndjson", "time": "at"},
        fields={
            "contact.id": "id",
            "contact.email": {"value": "a@example.com"},
            "type": {"value": "seen"},
        },
    )
    assert job.manifest.ready == 1
    [reading] = job.manifest.facts.readings["occurredAt"]
    assert reading.before == "2024-01-02 03:04:05+01:00"
