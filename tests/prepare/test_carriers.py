"""The same rows give the same bodies, whatever carries them: CSV, NDJSON, Parquet, a frame."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backfill import plan
from tests.prepare.prepared import POPULATION, Prepared, prepare_in

SCHEMA = {
    "a": pl.String(),
    "b": pl.String(),
    "n": pl.Int64(),
    "x": pl.Float64(),
    "ok": pl.Boolean(),
}
TEXTS = st.one_of(
    st.none(), st.sampled_from(["", " ", "0", "-0", "-0.0", "1.50", "é", '"', "null"])
)
NUMBERS = st.one_of(
    st.none(),
    st.sampled_from([-0.0, 0.0, 5.0, 1e-7, 0.1, 1e22]),
    st.integers(-(10**12), 10**12).map(lambda thousandths: thousandths / 1000),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "a": TEXTS,
            "b": TEXTS,
            "n": st.one_of(st.none(), st.integers(-(2**53), 2**53)),
            "x": NUMBERS,
            "ok": st.one_of(st.none(), st.booleans()),
        }
    ),
    min_size=1,
    max_size=6,
)
FIELDS: dict[str, Any] = {
    "contact.id": {"value": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"},
    "contact.email": {"value": "noa@example.com"},
    "type": {"sql": "CAST(i AS VARCHAR)"},  # so that no row is a duplicate
    "customFields.a": "a",
    "customFields.n": "n",
    "customFields.x": "x",
    "customFields.ok": "ok",
    "customFields.either": {"sql": "COALESCE(a, b)"},
    "customFields.both": {"sql": "a || '/' || b"},
    "customFields.empty": {"sql": "CASE WHEN a IS NULL THEN 'none' ELSE 'some' END"},
}
RULES = {"custom_value_max": 255}


def written(directory: Path, rows: list[dict[str, Any]], carrier: str) -> str:
    """The rows in a file."""
    frame = pl.DataFrame(rows, schema_overrides={**SCHEMA, "i": pl.Int64(), "at": pl.String()})
    name = f"events.{carrier}"
    if carrier == "ndjson":
        (directory / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif carrier == "parquet":
        frame.write_parquet(directory / name)
    else:
        frame.write_csv(directory / name)
    return name


def bodies(directory: Path, carrier: str, rows: list[dict[str, Any]]) -> list[Any]:
    events = {"files": written(directory, rows, carrier), "time": "at"}
    job = prepare_in(
        directory, "pristo-events", None, name=carrier, events=events, fields=FIELDS, rules=RULES
    )
    assert job.manifest.ready == len(rows), job.reasons
    return job.bodies


@settings(deadline=None, max_examples=5)
@given(ROWS)
@example([{"a": "", "b": "-0", "n": 0, "x": -0.0, "ok": None}])
@example([{"a": None, "b": "", "n": None, "x": None, "ok": True}])
def test_every_carrier_gives_the_same_bodies(rows: list[dict[str, Any]]) -> None:
    whole = [{"i": i, "at": "2024-03-01T09:15:00Z", **row} for i, row in enumerate(rows)]
    with TemporaryDirectory() as place:
        directory = Path(place)
        expected = bodies(directory, "parquet", whole)
        assert bodies(directory, "ndjson", whole) == expected
        texts = [{**row, "x": None} for row in whole]  # digits of a float are the writer's choice
        assert bodies(directory, "csv", texts) == [
            {**body, "customFields": {k: v for k, v in body["customFields"].items() if k != "x"}}
            for body in expected
        ]


def test_a_frame_gives_the_same_bodies_as_a_file(tmp_path: Path) -> None:
    rows = [
        {"i": 0, "at": "2024-03-01T09:15:00Z", "a": "", "b": "y", "n": 1, "x": -0.0, "ok": None}
    ]
    frame = pl.DataFrame(rows, schema_overrides=SCHEMA)
    job = plan(
        destination="pristo-events",
        population=POPULATION,
        events=frame,
        time="at",
        fields=FIELDS,
        rules=RULES,
        job=tmp_path / "frame.job",
    )
    assert [json.loads(body) for body in job.sample()["body"]] == bodies(tmp_path, "parquet", rows)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('{"v": -0.0}', "0"),
        ('{"v":-0}', "0"),
        ('{"v": -0.00e5, "w": "a: -0, b"}', "0"),
        ('{"v": "-0.0"}', "-0.0"),
        ('{"v": "x -0, y"}', "x -0, y"),
        ('{"v": -0.5}', "-0.5"),
    ],
)
def test_a_negative_zero_is_zero_and_a_text_is_a_text(
    tmp_path: Path, line: str, value: str
) -> None:
    (tmp_path / "events.ndjson").write_text(f'{line}\n{{"v": 1.5}}\n')
    job = prepare_in(
        tmp_path,
        "watch-events",
        None,
        events={"files": "events.ndjson"},
        fields={
            "target.value": {"value": "+12025550101"},
            "label": "v",
            "confidence": {"value": "high"},
        },
    )
    assert job.bodies[0]["label"] == value


def pristo(directory: Path, column: pl.Series, **events: Any) -> Prepared:
    frame = pl.DataFrame(
        {"at": column, "id": ["6f9619ff-8b86-4d01-b42d-00cf4fc964ff"] * len(column)}
    )
    return prepare_in(
        directory,
        "pristo-events",
        frame,
        events={"time": "at", **events},
        fields={
            "contact.id": "id",
            "contact.email": {"value": "noa@example.com"},
            "type": {"value": "purchase"},
        },
    )


def test_times_are_compared_as_they_are_sent(tmp_path: Path) -> None:
    """A body holds milliseconds, so what is finer makes no other record."""
    times = pl.Series(
        ["2024-03-01T09:15:00.123456Z", "2024-03-01T09:15:00.123457Z", "2024-03-01T09:15:00.124Z"]
    )
    job = pristo(tmp_path, times)
    assert job.kept_of == {2: 1}
    assert len({json.dumps(body) for body in job.bodies}) == job.manifest.ready == 2


@pytest.mark.parametrize("unit", ["us", "ms"])
@pytest.mark.parametrize(
    ("moment", "zone"),
    [
        (datetime(9999, 12, 31, 23, 59, 59), "America/New_York"),  # noqa: DTZ001 - a naive column
        (datetime(1, 1, 1), "Asia/Jerusalem"),  # noqa: DTZ001 - the same
    ],
)
def test_a_zone_does_not_carry_a_custom_field_out_of_the_calendar(
    tmp_path: Path, moment: datetime, zone: str, unit: Any
) -> None:
    frame = pl.DataFrame(
        {"when": [moment], "at": [datetime(2024, 1, 1, tzinfo=UTC)]},
        schema_overrides={"when": pl.Datetime(unit)},
    )
    job = prepare_in(
        tmp_path,
        "pristo-events",
        frame,
        events={"time": "at", "timezone": zone},
        fields={
            "contact.id": {"value": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"},
            "contact.email": {"value": "noa@example.com"},
            "type": {"value": "purchase"},
            "customFields.when": "when",
        },
    )
    assert job.reasons == {1: "customFields.when|range"}


PHONES = st.one_of(
    st.none(),
    st.sampled_from(["+12025550101", "+12025550101.0", "12025550101", "1.2E10"]),
    st.floats(1, 1e22),
    st.integers(10**6, 10**13).map(float),
    st.integers(10**6, 10**13),
)


@settings(deadline=None, max_examples=6)
@given(st.lists(PHONES, min_size=1, max_size=6), st.booleans())
@example([972540000188.0, 9.7e11, 12025550101], False)
@example([540000188.0], True)
def test_a_float_is_no_phone_whatever_carries_it(phones: list[Any], by_sql: bool) -> None:
    """Each value by itself: a frame's column has one type, and says of all its values the same."""
    fields = {
        "target.value": {"sql": "'+' || p"} if by_sql else "p",
        "label": "i",
        "confidence": {"value": "high"},
    }

    def outcome(directory: Path, name: str, files: list[str]) -> tuple[list[Any], dict[int, str]]:
        job = prepare_in(
            directory,
            "watch-events",
            None,
            name=name,
            events={"files": files},
            fields=fields,
            rules={"phone_region": "IL"},
        )
        order = {entry.name: index for index, entry in enumerate(job.manifest.events)}
        rejected = {
            order[file] + row - 1: reason
            for file, row, reason in job.rejected.select("_file", "_row", "_reason").rows()
        }
        return [(body["label"], body["target"]["value"]) for body in job.bodies], rejected

    with TemporaryDirectory() as place:
        directory = Path(place)
        lines = [json.dumps({"i": str(i), "p": each}) for i, each in enumerate(phones)]
        (directory / "all.ndjson").write_text("\n".join(lines))
        found = outcome(directory, "ndjson", ["all.ndjson"])
        (directory / "all.csv").write_text(
            "i,p\n" + "".join(f"{i},{'' if p is None else p}\n" for i, p in enumerate(phones))
        )
        assert outcome(directory, "csv", ["all.csv"]) == found
        for index, each in enumerate(phones):
            frame = pl.DataFrame({"i": [str(index)], "p": [each]})
            frame.write_parquet(directory / f"{index}.parquet")
        each_alone = [f"{index}.parquet" for index in range(len(phones))]
        assert outcome(directory, "parquet", each_alone) == found
    if by_sql:
        return  # `+` before 1.25 makes +1.25, as domain registries write numbers
    floats = {index for index, each in enumerate(phones) if isinstance(each, float)}
    assert all("target.value|float" in found[1][index] for index in floats)


@pytest.mark.parametrize("number", ["12345678901234567.0", "1.2345678901234568e16", "1e17"])
def test_an_id_that_a_float_has_rounded_is_refused(tmp_path: Path, number: str) -> None:
    (tmp_path / "events.ndjson").write_text(
        "".join(f'{{"at":"2024-01-01T00:00:00Z","id":{each}}}\n' for each in (number, "123.0"))
    )
    job = prepare_in(
        tmp_path,
        "pristo-events",
        None,
        events={"files": "events.ndjson", "time": "at"},
        fields={
            "contact.id": "id",
            "contact.email": {"value": "noa@example.com"},
            "type": {"value": "purchase"},
        },
        rules={"contact_id": {"namespace": POPULATION}},
    )
    assert job.reasons == {1: "contact.id|float"}


_ODD_ENDS = st.sampled_from(["", "0", "-0", "00123", "1.5", "1.50", "x", "6F9619FF", " 7 ", "true"])
VALUES: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "text": (pl.String(), st.one_of(_ODD_ENDS, st.text("0123456789+-. eE", max_size=6))),
    "whole": (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    "fraction": (pl.Float64(), st.one_of(NUMBERS, st.floats(-1e15, 1e15))),
    "truth": (pl.Boolean(), st.booleans()),
    "day": (pl.Date(), st.dates()),
    "list": (pl.List(pl.Int64()), st.lists(st.integers(0, 9), max_size=2)),
    "object": (pl.Struct({"a": pl.Int64()}), st.just({"a": 1})),
}
TYPED = st.sampled_from(list(VALUES)).flatmap(
    lambda kind: st.tuples(
        st.just(kind), st.lists(st.one_of(st.none(), VALUES[kind][1]), min_size=1, max_size=5)
    )
)


@settings(deadline=None, max_examples=8)
@given(TYPED, st.sampled_from(["contact.id", "contact.phone", "customFields.v", "type"]))
@example(("fraction", [1.5, 123.0, 2.0**53, -0.0]), "contact.id")
@example(("whole", [123, 2**53 + 1, 540000188]), "contact.phone")
@example(("list", [[], None]), "contact.id")
def test_a_value_of_any_type_comes_to_the_same_in_any_field(
    column: tuple[str, list[Any]], field: str
) -> None:
    """Texts, numbers, booleans, dates, lists and objects: from NDJSON, from Parquet, from a frame;
    from a CSV where its text is a matter of course."""
    kind, values = column
    fields = {
        "contact.id": {"value": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"},
        "contact.email": {"value": "noa@example.com"},
        "type": {"value": "purchase"},
        "customFields.i": "i",
        field: "v",
    }
    rows = [{"i": i, "at": "2024-03-01T09:15:00Z", "v": each} for i, each in enumerate(values)]
    frame = pl.DataFrame(rows, schema_overrides={"v": VALUES[kind][0]})
    sections: dict[str, Any] = {
        "fields": fields,
        "rules": {"contact_id": {"namespace": POPULATION}, "phone_region": "IL"},
    }

    def outcome(carrier: str) -> tuple[list[Any], dict[int, str]]:
        name = f"events.{carrier}"
        job = prepare_in(
            directory,
            "pristo-events",
            None,
            name=carrier,
            events={"files": name, "time": "at"},
            **sections,
        )
        return job.bodies, job.reasons

    with TemporaryDirectory() as place:
        directory = Path(place)
        frame.write_parquet(directory / "events.parquet")
        lines = [json.dumps(row, default=lambda day: day.isoformat()) for row in rows]
        (directory / "events.ndjson").write_text("\n".join(lines))
        found = outcome("parquet")
        assert outcome("ndjson") == found
        if kind in ("text", "whole", "truth", "day"):
            frame.write_csv(directory / "events.csv")
            assert outcome("csv") == found
        job = plan(
            destination="pristo-events",
            population=POPULATION,
            events=frame,
            time="at",
            job=directory / "frame.job",
            **sections,
        )
        assert job.manifest.reasons == Counter(found[1].values())
        sent = [json.loads(body) for body in job.sample(len(rows))["body"]]
        assert sent == found[0]
