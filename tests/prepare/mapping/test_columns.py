"""Every file has what the configuration names, or the one that does not is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backfill.core.errors import SourceError
from tests.prepare.prepared import Prepared, prepare_in, watch_fields

WHOLE = {"phone": ["+12025550101"], "label": ["a"], "at": ["2024-01-01T00:00:00Z"]}


def write(path: Path, columns: dict[str, list[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(columns)
    match path.suffix:
        case ".parquet":
            frame.write_parquet(path)
        case ".ndjson":
            path.write_text("".join(json.dumps(row) + "\n" for row in frame.iter_rows(named=True)))
        case _:
            frame.write_csv(path)


def without(name: str, *, instead: str | None = None) -> dict[str, list[Any]]:
    rest = {column: values for column, values in WHOLE.items() if column != name}
    return {**rest, instead: WHOLE[name]} if instead else rest


def watch(directory: Path, pattern: str, **more: Any) -> Prepared:
    events = {"files": pattern, "time": "at", **more.pop("events", {})}
    return prepare_in(
        directory,
        "watch-events",
        None,
        **{"events": events, "fields": watch_fields(), **more},
    )


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("column", "where"),
    [("phone", "[fields] target.value"), ("at", "[events] time"), ("label", "[fields] label")],
)
def test_a_file_without_a_column_that_another_has_is_named(
    tmp_path: Path, form: str, column: str, where: str
) -> None:
    write(tmp_path / f"e1.{form}", WHOLE)
    write(tmp_path / f"e2.{form}", without(column, instead=f"{column}_"))
    with pytest.raises(SourceError) as caught:
        watch(tmp_path, f"e*.{form}")
    assert caught.value.where == where
    assert caught.value.message == f"there is no column {column!r} in e2.{form}"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"Did you mean '{column}_'? 1 of the 2 files have it")


def test_a_column_that_sql_reads_is_needed_in_every_file(tmp_path: Path) -> None:
    write(tmp_path / "e1.csv", WHOLE)
    write(tmp_path / "e2.csv", without("label"))
    with pytest.raises(SourceError, match=r"'label' in e2\.csv"):
        watch(tmp_path, "e*.csv", fields=watch_fields(label={"sql": "upper(label)"}))


def test_the_contacts_key_is_needed_in_every_file(tmp_path: Path) -> None:
    write(tmp_path / "events.csv", {"user": ["1"], "label": ["a"]})
    write(tmp_path / "c1.csv", {"id": ["1"], "phone": ["+12025550101"]})
    write(tmp_path / "c2.csv", {"ID": ["1"], "phone": ["+12025550101"]})
    with pytest.raises(SourceError, match=r"'id' in c2\.csv") as caught:
        prepare_in(
            tmp_path,
            "watch-events",
            None,
            events={"files": "events.csv", "contact_key": "user"},
            contacts={"files": "c*.csv", "key": "id"},
            fields=watch_fields(),
        )
    assert caught.value.hint == "Did you mean 'ID'?"


def test_columns_that_nothing_names_may_differ(tmp_path: Path) -> None:
    write(tmp_path / "e1.csv", {**WHOLE, "a": ["1"]})
    write(tmp_path / "e2.csv", {"b": ["2"], **WHOLE})
    assert watch(tmp_path, "e*.csv", dedupe={"key": ["label"]}).manifest.input == 2


def test_lines_of_json_may_lack_a_column_that_another_file_has(tmp_path: Path) -> None:
    write(tmp_path / "e1.ndjson", WHOLE)
    write(tmp_path / "e2.ndjson", without("phone"))
    assert watch(tmp_path, "e*.ndjson").reasons == {1: "target.value|required"}


def test_a_column_that_no_line_of_json_has_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "e1.ndjson", without("phone"))
    with pytest.raises(SourceError, match=r"'phone' in e1\.ndjson"):
        watch(tmp_path, "e*.ndjson")


def test_hive_directories_count_as_columns(tmp_path: Path) -> None:
    write(tmp_path / "label=a" / "e.parquet", without("label"))
    write(tmp_path / "e.parquet", WHOLE)
    job = watch(tmp_path, "**/*.parquet", events={"hive": True})
    assert [body["label"] for body in job.bodies] == ["a"]
    assert job.manifest.duplicate == 1


def test_a_column_in_a_directorys_name_is_pointed_at(tmp_path: Path) -> None:
    write(tmp_path / "label=a" / "e.csv", without("label"))
    with pytest.raises(SourceError) as caught:
        watch(tmp_path, "label=a/e.csv")
    assert caught.value.hint == "It is in the directory's name: set hive = true under [events]."


@pytest.mark.parametrize(
    ("separator", "written"), [(";", '";"'), ("\t", r'"\t"'), ("|", '"|"'), (",", '","')]
)
def test_another_separator_is_pointed_at(tmp_path: Path, separator: str, written: str) -> None:
    pl.DataFrame(WHOLE).write_csv(tmp_path / "e.csv", separator=separator)
    events = {"separator": ";"} if separator == "," else {}
    with pytest.raises(SourceError) as caught:
        watch(tmp_path, "e.csv", events=events)
    assert f"set separator = {written} under [events]" in (caught.value.hint or "")
    mended = watch(tmp_path, "e.csv", name="again", events={"separator": separator})
    assert mended.manifest.ready == 1


def test_a_header_below_a_title_that_is_as_wide_is_pointed_at(tmp_path: Path) -> None:
    title = ",".join(["Export", "of", "all", "events"][: len(WHOLE)])
    pl.DataFrame(WHOLE).write_csv(tmp_path / "e.csv")
    text = (tmp_path / "e.csv").read_text("utf-8")
    (tmp_path / "e.csv").write_text(f"{title}\n{text}", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        watch(tmp_path, "e.csv")
    assert caught.value.hint == (
        "Row 1 of e.csv has it as a cell: if that is the header, delete what stands above it."
    )


def test_another_separator_is_pointed_at_where_either_side_may_have_the_column(
    tmp_path: Path,
) -> None:
    write(tmp_path / "events.csv", {"user": ["1"], "label": ["a"]})
    contacts = pl.DataFrame({"id": ["1"], "phone": ["+12025550101"]})
    contacts.write_csv(tmp_path / "contacts.csv", separator=";")
    with pytest.raises(SourceError) as caught:
        prepare_in(
            tmp_path,
            "watch-events",
            None,
            events={"files": "events.csv", "contact_key": "user"},
            contacts={"files": "contacts.csv", "key": "id;phone"},
            fields=watch_fields(),
        )
    assert 'set separator = ";" under [contacts]' in (caught.value.hint or "")


def sharing(directory: Path) -> Path:
    (directory / "e.csv").write_text(
        "phone,Email,label,at,Email\n+12025550101,a,b,2024-01-01T00:00:00Z,c\n"
    )
    return directory


def test_columns_that_share_a_name_are_no_obstacle_where_nothing_maps_them(tmp_path: Path) -> None:
    assert len(watch(sharing(tmp_path), "e.csv").bodies) == 1


def test_a_field_takes_one_of_the_columns_that_share_a_name_by_its_place(tmp_path: Path) -> None:
    fields = {**watch_fields(), "label": "Email (column 5)"}
    (body,) = watch(sharing(tmp_path), "e.csv", fields=fields).bodies
    assert body["label"] == "c"


def test_a_name_that_columns_share_is_mapped_by_none(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        watch(sharing(tmp_path), "e.csv", fields={**watch_fields(), "label": "Email"})
    assert caught.value.where == "[fields] label"
    assert "'Email (column 2)' or 'Email (column 5)'" in (caught.value.hint or "")


def test_a_shared_name_in_a_file_that_fills_is_not_passed_over(tmp_path: Path) -> None:
    """The other file has the column once: what stands in this one would be left out unseen."""
    (tmp_path / "e.csv").write_text("user,label,at\n1,a,2024-01-01T00:00:00Z\n")
    (tmp_path / "c1.csv").write_text("id,phone\n1,+12025550101\n")
    (tmp_path / "c2.csv").write_text("id,phone,phone\n1,+12025550102,+12025550103\n")
    with pytest.raises(SourceError) as caught:
        prepare_in(
            tmp_path,
            "watch-events",
            None,
            events={"files": "e.csv", "contact_key": "user", "time": "at"},
            contacts={"files": "c*.csv", "key": "id", "keep": "fill"},
            fields={**watch_fields(), "target.value": "contacts.phone"},
        )
    assert "'phone (column 2)' or 'phone (column 3)'" in (caught.value.hint or "")
