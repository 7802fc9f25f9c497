"""A nested value is rejected and a single one sent, whatever the rows beside it hold."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backfill.core.errors import ConfigError
from tests.prepare.prepared import Prepared, prepare_in

AT = "2024-01-02T03:04:05Z"
NESTED = (dict, list)

values = st.sampled_from(
    [None, "x", "[1]", '{"a": 1}', 7, 1.5, True, [], [1], ["x"], [[1]], {}, {"a": 1}, [{"a": 1}]]
)


def job_of(directory: Path, files: list[list[Any]], **more: Any) -> Prepared:
    """Each value as custom field `x` of an event of its own, in so many NDJSON files."""
    numbers = iter(range(1, 1000))
    for index, each in enumerate(files):
        rows = [{"user": str(uuid.UUID(int=next(numbers))), "at": AT, "x": value} for value in each]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (directory / f"e{index}.ndjson").write_text(text)
    return job_of_files(directory, "e*.ndjson", **more)


def job_of_files(directory: Path, files: str, **more: Any) -> Prepared:
    """Column `x` of the files as custom field `x`."""
    return prepare_in(
        directory,
        "pristo-events",
        None,
        events={"files": files, "time": "at"},
        fields={
            "contact.id": "user",
            "contact.email": {"value": "a@example.com"},
            "type": {"value": "purchase"},
            "customFields.x": "x",
            **more,
        },
    )


def sent(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(values, min_size=1, max_size=5), min_size=1, max_size=2))
@example([["x", {"a": 1}]])
@example([[{"a": 1}], ["x"]])
@example([[[1], {"a": 1}]])
@example([[[1]], [{"a": 1}]])
def test_what_becomes_of_a_value_depends_on_that_value_alone(files: list[list[Any]]) -> None:
    if not any(value is not None for each in files for value in each):
        files = [["x"], *files]
    with TemporaryDirectory() as directory:
        job = job_of(Path(directory), files)
        found = [body.get("customFields", {}).get("x") for body in job.bodies]
        reasons = job.rejected["_reason"].to_list()
    flat = [value for each in files for value in each]
    assert found == [sent(value) for value in flat if not isinstance(value, NESTED)]
    assert reasons == ["customFields.x|nested"] * sum(isinstance(each, NESTED) for each in flat)


@pytest.mark.parametrize("files", [[[{"a": [1]}, {"a": "x"}]], [[{"a": [1]}], [{"a": "x"}]]])
def test_no_part_of_an_object_is_sent_that_is_nested_in_another_row(
    tmp_path: Path, files: list[list[Any]]
) -> None:
    with pytest.raises(ConfigError, match="lists or objects in some rows"):
        job_of(tmp_path, files, **{"customFields.x": {"sql": "x.a"}})


@pytest.mark.parametrize("split", [1, 2])
def test_customers_whose_long_numbers_differ_in_the_last_digit_are_two(
    tmp_path: Path, split: int
) -> None:
    values = [{"id": 123456789012345678}, {"id": 123456789012345679}, {"id": 7.0}]
    files = [values[:split], values[split:]]
    job = job_of(tmp_path, files, **{"customFields.x": {"sql": "x.id"}})
    found = [body["customFields"]["x"] for body in job.bodies]
    assert found == ["123456789012345678", "123456789012345679", "7"]


def test_a_rejected_value_is_shown_and_kept_as_the_json_that_it_was(tmp_path: Path) -> None:
    value = {"a": 1, "path": 'C:\\new "é"\n'}
    job = job_of(tmp_path, [["x", value]])
    (shown,) = job.manifest.facts.examples["customFields.x|nested"]
    assert json.loads(shown.value or "") == value
    assert job.rejected.schema["x"] == pl.String
    assert json.loads(job.rejected["x"].item()) == value
    assert job.ready["source.x"].item() == "x"


def test_ids_phones_times_and_tables_read_the_single_values(tmp_path: Path) -> None:
    one = str(uuid.UUID(int=1))
    good = {"user": one, "at": AT, "phone": "+12025550101", "kind": "p"}
    bad = [{**good, name: {"a": 1}} for name in good]
    (tmp_path / "e.ndjson").write_text("".join(json.dumps(row) + "\n" for row in [good, *bad]))
    job = prepare_in(
        tmp_path,
        "pristo-events",
        None,
        events={"files": "e.ndjson", "time": "at"},
        fields={
            "contact.id": "user",
            "contact.phone": "phone",
            "type": {"column": "kind", "values": {"p": "purchase"}, "otherwise": "reject"},
        },
    )
    assert job.bodies == [
        {
            "contact": {"id": one, "phone": "+12025550101"},
            "type": "purchase",
            "occurredAt": AT,
        }
    ]
    assert job.reasons == {
        2: "contact.id|nested",
        3: "occurredAt|format",
        4: "contact.phone|nested",
        5: "type|nested",
    }


def test_a_nested_key_meets_no_contact(tmp_path: Path) -> None:
    users = ["u", ["u"]]
    lines = [json.dumps({"user": user, "at": AT}) + "\n" for user in users]
    (tmp_path / "e.ndjson").write_text("".join(lines))
    contacts = pl.DataFrame({"id": ["u"], "email": ["a@example.com"]})
    job = prepare_in(
        tmp_path,
        "pristo-events",
        None,
        contacts,
        events={"files": "e.ndjson", "time": "at", "contact_key": "user"},
        contacts={"key": "id"},
        fields={"contact.id": "user", "contact.email": "email", "type": {"value": "purchase"}},
        rules={"contact_id": {"namespace": str(uuid.UUID(int=9))}},
    )
    assert job.manifest.ready == 1
    assert "contact.id|nested" in job.reasons[2]


def test_bytes_beside_text_in_another_file_are_rejected_as_they_are_alone(tmp_path):
    """Also bytes that could be read as text."""
    of = {"user": [str(uuid.UUID(int=1))], "at": [AT]}
    for name, value in {"a": b"\xff", "b": "s", "c": b"abc", "d": '"quoted"', "e": None}.items():
        columns = {"x": [value], "y": [[value]]}
        pl.DataFrame({**of, **columns}).write_parquet(tmp_path / f"{name}.parquet")
    job = job_of_files(tmp_path, "*.parquet")
    assert [body.get("customFields") for body in job.bodies] == [
        {"x": "s"},
        {"x": '"quoted"'},
        None,
    ]
    assert job.rejected["_reason"].to_list() == ["customFields.x|type"] * 2
