"""Ways into nested columns and into JSON in a cell, and SQL in the place of keys and times."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backfill.checks.rules import rule_named
from backfill.core.errors import ConfigError
from backfill.prepare.mapping.hours import hour_beside
from tests.prepare.prepared import Prepared, prepare_in, watch_fields

ROWS: list[dict[str, Any]] = [
    {"who": {"phone": "+12025550101"}, "products": [{"sku": "a"}, {"sku": "b"}], "n": 1},
    {"who": {"phone": "+12025550102"}, "products": [], "n": 2},
    {"who": {"phone": "+12025550103"}, "products": None, "n": 3},
]


def source(directory: Path, kind: str) -> str:
    """The rows as NDJSON, as Parquet, or as a CSV with JSON in its cells."""
    name = f"events.{kind}"
    if kind == "ndjson":
        (directory / name).write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    elif kind == "parquet":
        pl.DataFrame(ROWS).write_parquet(directory / name)
    else:
        cells = [
            {key: json.dumps(v) if isinstance(v, dict | list) else v for key, v in row.items()}
            for row in ROWS
        ]
        pl.DataFrame(cells).write_csv(directory / name)
    return name


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "csv"])
@pytest.mark.parametrize(
    "label",
    ["products[0].sku", {"sql": '"products[0].sku"'}, {"sql": "COALESCE(\"products[0].sku\", '')"}],
)
def test_a_way_leads_to_the_same_value_in_every_format(
    tmp_path: Path, kind: str, label: object
) -> None:
    job = prepare_in(
        tmp_path,
        "watch-events",
        None,
        events={"files": source(tmp_path, kind)},
        fields=watch_fields(**{"target.value": "who.phone", "label": label}),
    )
    assert [body["label"] for body in job.bodies] == ["a"]
    assert job.reasons == {2: "label|required", 3: "label|required"}
    assert job.manifest.facts.unused_columns == ("events.n",)


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "csv"])
def test_an_object_at_the_end_of_a_way_is_nested(tmp_path: Path, kind: str) -> None:
    job = prepare_in(
        tmp_path,
        "watch-events",
        None,
        events={"files": source(tmp_path, kind)},
        fields=watch_fields(**{"target.value": "who.phone", "label": "products[0]"}),
    )
    assert job.reasons[1] == "label|nested"


def test_a_column_of_that_very_name_comes_first(tmp_path: Path) -> None:
    events = pl.DataFrame({"a.b": ["own"], "a": [{"b": "nested"}], "phone": ["+12025550101"]})
    job = prepare_in(tmp_path, "watch-events", events, fields=watch_fields(label="a.b"))
    assert [body["label"] for body in job.bodies] == ["own"]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("who.fone", "no field 'fone'.*'phone'"),
        ("who[0]", "holds objects.*who.phone"),
        ("products.sku", r"holds lists.*products\[0\]"),
        ("n.x", "which has no parts"),
        ({"sql": '"who.fone"'}, "no field 'fone'"),
        ({"sql": '"hwo.phone"'}, "names the column 'hwo.phone'"),
    ],
)
def test_a_way_that_leads_nowhere_is_named(tmp_path: Path, label: object, words: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        prepare_in(
            tmp_path,
            "watch-events",
            None,
            events={"files": source(tmp_path, "parquet")},
            fields=watch_fields(**{"target.value": "who.phone", "label": label}),
        )


def test_the_time_stands_in_two_columns(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {
            "phone": ["+12025550101"] * 3,
            "label": ["x"] * 3,
            "date": ["2024-03-01"] * 3,
            "hour": ["10:15", "09:15", "25:00"],
        }
    )
    job = prepare_in(
        tmp_path,
        "watch-events",
        events,
        events={"time": {"sql": "date || ' ' || hour"}, "timezone": "Asia/Jerusalem"},
        fields=watch_fields(),
    )
    assert job.ready["row"].to_list() == [2, 1]
    assert job.manifest.facts.first_time == "2024-03-01T07:15:00Z"
    assert job.reasons == {3: "time|format"}
    assert job.manifest.facts.unused_columns == ()


def test_a_time_lies_in_a_nested_column(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {
            "properties": [{"time": 1709280900, "phone": "+12025550101"}],
            "label": ["x"],
        }
    )
    job = prepare_in(
        tmp_path,
        "watch-events",
        events,
        events={"time": "properties.time", "since": "2024-01-01"},
        fields=watch_fields(**{"target.value": "properties.phone"}),
    )
    assert job.manifest.facts.first_time == "2024-03-01T08:15:00Z"


@pytest.mark.parametrize("parts", [1, 3])
def test_keys_meet_by_sql(tmp_path: Path, parts: int) -> None:
    """Ids that lost their zeros in one of the files; the rows still meet in one part."""
    events = pl.DataFrame({"who": [7, 12, 7], "label": ["a", "b", "c"]})
    contacts = pl.DataFrame({"id": ["007", "012"], "phone": ["+12025550107", "+12025550112"]})
    job = prepare_in(
        tmp_path,
        "watch-events",
        events,
        contacts,
        parts=parts,
        events={"contact_key": {"sql": "LPAD(CAST(who AS VARCHAR), 3, '0')"}},
        contacts={"key": {"sql": "id"}},
        fields=watch_fields(),
    )
    assert [body["target"]["value"][-3:] for body in job.bodies] == ["107", "112", "107"]
    assert job.manifest.facts.warnings == ()


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ({"time": {"sql": "max(at)"}}, "[events] time"),
        ({"time": {"sql": "att"}}, "'at'"),
        ({"time": {"value": 3}}, "is a column of the events, or"),
        ({"time": {"sql": "at", "from": "contacts"}}, "is a column of the events, or"),
        ({"contact_key": 3}, "a column's name in quotes"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(
    tmp_path: Path, events: dict[str, Any], words: str
) -> None:
    frame = pl.DataFrame({"phone": ["+12025550101"], "label": ["x"], "at": ["2024-01-01"]})
    with pytest.raises(ConfigError) as caught:
        prepare_in(tmp_path, "watch-events", frame, events=events, fields=watch_fields())
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("looked_at", "later", "read"),
    [(["9:15", "10:15"], "10:15:30", "10:15:30"), (["9", "10"], "930", "930:00")],
)
def test_an_hour_that_comes_later_is_not_cut(looked_at, later, read):
    rows = pl.DataFrame({"at": ["2024-03-01"] * 2, "hour": looked_at})
    found = hour_beside(rows, "at")
    assert found is not None
    beyond = pl.DataFrame({"at": ["2024-03-01"], "hour": [later]})
    assert beyond.select(pl.sql_expr(found[1])).item() == f"2024-03-01 {read}"


@pytest.mark.parametrize(
    ("beside", "sql"),
    [
        ({"clock": ["09:15", "10:15"]}, '"at" || \' \' || "clock"'),
        (
            {"clock": ["9:15", "10:15"]},
            """"at" || ' ' || CASE WHEN "clock" LIKE '_:%' THEN '0' || "clock" ELSE "clock" END""",
        ),
        (
            {"hour": ["9", "10"]},
            """"at" || ' ' || CASE WHEN LENGTH("hour") = 1 THEN '0' || "hour" ELSE "hour" END"""
            " || ':00'",
        ),
    ],
)
def test_a_time_of_dates_beside_hours_is_asked_about(
    tmp_path: Path, beside: dict[str, list[str]], sql: str
) -> None:
    """The expression that is offered gives both rows their hour."""
    frame = pl.DataFrame(
        {"phone": ["+12025550101"] * 2, "label": ["x"] * 2, "at": ["2024-03-01"] * 2, **beside}
    )
    zone = {"timezone": "UTC"}
    asked = prepare_in(
        tmp_path, "watch-events", frame, events={"time": "at", **zone}, fields=watch_fields()
    )
    assert any(sql in warning for warning in asked.manifest.facts.warnings)
    assert asked.kept_of == {2: 1}
    mended = prepare_in(
        tmp_path,
        "watch-events",
        None,
        name="mended",
        events={"time": {"sql": sql}, **zone},
        fields=watch_fields(),
    )
    assert mended.manifest.facts.warnings == ()
    assert mended.manifest.ready == 2


def test_a_count_is_no_hour(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"phone": ["+12025550101"], "label": ["x"], "at": ["2024-03-01"], "items": ["3"]}
    )
    job = prepare_in(
        tmp_path,
        "watch-events",
        frame,
        events={"time": "at", "timezone": "UTC"},
        fields=watch_fields(),
    )
    assert job.manifest.facts.warnings == ()


def test_a_spreadsheets_days_are_read_by_the_sql_that_its_rule_names(tmp_path: Path) -> None:
    """And are local times, to which the zone applies."""
    (tmp_path / "events.csv").write_text("who,at\n+12025550101,45352.385\n+12025550102,45353.5\n")
    sql = re.search('`{ sql = "(.*?)" }`', rule_named("occurredAt|format").remedy)
    assert sql is not None
    events = {"files": "events.csv", "time": {"sql": sql[1]}, "timezone": "Europe/Berlin"}
    fields = watch_fields(**{"target.value": "who", "label": {"value": "x"}})
    job = prepare_in(tmp_path, "watch-events", None, events=events, fields=fields)
    assert job.manifest.facts.first_time == "2024-03-01T08:14:24Z"
    assert job.manifest.facts.last_time == "2024-03-02T11:00:00Z"


def test_a_map_is_reached_by_its_keys(tmp_path: Path) -> None:
    held = [{"phone": "+12025550143", "tier": "gold"}, {"phone": "+12025550144"}]
    events = pl.DataFrame({"of": pl.Series(held, dtype=pl.Map(pl.String, pl.String))})
    fields = watch_fields(**{"target.value": "of.phone", "label": {"sql": 'UPPER("of.tier")'}})
    job = prepare_in(tmp_path, "watch-events", events, fields=fields)
    assert [body["target"]["value"] for body in job.bodies] == ["+12025550143"]
    assert [body["label"] for body in job.bodies] == ["GOLD"]
    assert job.reasons[2] == "label|required"


@pytest.mark.parametrize("way", ["of[0]", "numbered.x"])
def test_a_way_past_a_map_says_how_it_is_reached(tmp_path: Path, way: str) -> None:
    events = pl.DataFrame(
        {
            "phone": "+12025550143",
            "of": pl.Series([{"a": "x"}], dtype=pl.Map(pl.String, pl.String)),
            "numbered": pl.Series([{1: "x"}], dtype=pl.Map(pl.Int64, pl.String)),
        }
    )
    with pytest.raises(ConfigError, match=r"(?s)holds maps.*stands under a text"):
        prepare_in(tmp_path, "watch-events", events, fields=watch_fields(label=way))


NUMBERS = {
    "1e3": "1000",
    "1000.0": "1000",
    "1E+2": "100",
    "0.10": "0.1",
    "12.75": "12.75",
    "1e-7": "0.0000001",
    "-0.0": "0",
    "-1.50": "-1.5",
    "1e16": "10000000000000000",
    "100000000000000000000000.0": "100000000000000000000000",
    "9007199254740993.0": "9007199254740992",
    "12345678901234567.0": "12345678901234568",
    "0.30000000000000004": "0.30000000000000004",
    "123456789012345678901234567890": "123456789012345678901234567890",
    '"1e3"': "1e3",
    '"1.0"': "1.0",
    '"007"': "007",
    "true": "true",
}


def prepared_from(directory: Path, kind: str, cells: list[str], **fields: str) -> Prepared:
    """A job of so many rows with this JSON in the column `p`; each row has a phone of its own."""
    phones = [f"+1202555{100 + number:04}" for number in range(len(cells))]
    if kind == "csv":
        pl.DataFrame({"phone": phones, "p": cells}).write_csv(directory / "events.csv")
    else:
        lines = [
            f'{{"phone": "{phone}", "p": {cell}}}'
            for phone, cell in zip(phones, cells, strict=True)
        ]
        (directory / "events.ndjson").write_text("\n".join(lines))
    events = {"files": f"events.{kind}"}
    return prepare_in(directory, "watch-events", None, events=events, fields=watch_fields(**fields))


ONE_SHAPE: list[str] = []
NESTED_ELSEWHERE = ['{"v": "a", "other": ["a"]}', '{"v": "a", "other": "a"}']


@pytest.mark.parametrize(
    ("kind", "beside"),
    [("csv", ONE_SHAPE), ("ndjson", ONE_SHAPE), ("ndjson", NESTED_ELSEWHERE)],
)
def test_a_number_is_the_same_text_whatever_stands_beside_it(
    tmp_path: Path, kind: str, beside: list[str]
) -> None:
    cells = [f'{{"v": {number}}}' for number in NUMBERS]
    job = prepared_from(tmp_path, kind, [*cells, *beside], label="p.v")
    assert not job.reasons
    assert [body["label"] for body in job.bodies][: len(cells)] == list(NUMBERS.values())


@pytest.mark.parametrize("empty", ['{"v": []}', '{"v": [null]}', '{"v": null}', "{}"])
@pytest.mark.parametrize("way", ["p.v[0].n", "p.v[0][1]", "p.v[0].n.m"])
@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_a_way_into_lists_that_are_all_empty_leads_to_nothing(
    tmp_path: Path, kind: str, empty: str, way: str
) -> None:
    if empty == "{}" and kind == "ndjson":
        empty = '{"v": null, "w": 1}'
    job = prepared_from(tmp_path, kind, [empty, empty], label=way)
    assert job.reasons == {1: "label|required", 2: "label|required"}


def test_numbers_are_found_in_lists_of_objects(tmp_path: Path) -> None:
    cells = ['{"v": [{"n": "1.0"}, {"n": 1.0}]}', '{"v": [{"n": 1.0}]}']
    job = prepared_from(tmp_path, "csv", cells, label="p.v[1].n")
    assert [body["label"] for body in job.bodies] == ["1"]


@pytest.mark.parametrize(
    ("kind", "beside"),
    [("csv", ONE_SHAPE), ("ndjson", ONE_SHAPE), ("ndjson", NESTED_ELSEWHERE)],
)
@pytest.mark.parametrize("phone", ["12025550101.0", "1.2025550101e10"])
def test_a_fraction_is_no_phone_in_json_either(
    tmp_path: Path, kind: str, beside: list[str], phone: str
) -> None:
    cells = [f'{{"v": {phone}}}', *beside]
    job = prepared_from(tmp_path, kind, cells, **{"target.value": "p.v", "label": "phone"})
    assert job.reasons[1] == "target.value|float"
