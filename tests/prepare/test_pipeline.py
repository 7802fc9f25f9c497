"""From files to buckets: joined, judged, counted, and in order, however the rows are split."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backfill.core.errors import BackfillError, ChangedError, ConfigError
from backfill.jobdir.manifest import Example
from backfill.prepare import pipeline
from backfill.prepare.left_out import Previous
from tests.prepare.prepared import Prepared, prepare_in, watch_fields

START = datetime(2024, 1, 1, tzinfo=UTC)


def an_id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def pristo_events(**columns: list[Any]) -> pl.DataFrame:
    """Events with a time each, one second apart, of a type `purchase`."""
    count = len(next(iter(columns.values())))
    at = [START + timedelta(seconds=index) for index in range(count)]
    return pl.DataFrame({"at": at, "event": ["purchase"] * count, **columns})


PRISTO: Mapping[str, Any] = {
    "events": {"time": "at", "contact_key": "user"},
    "contacts": {"key": "id"},
    "fields": {
        "contact.id": "events.user",
        "contact.email": "contacts.email",
        "contact.name": "contacts.name",
        "type": "event",
    },
}


def pristo(
    directory: Path, events: pl.DataFrame, contacts: pl.DataFrame, /, **more: Any
) -> Prepared:
    return prepare_in(directory, "pristo-events", events, contacts, **{**PRISTO, **more})


# --- contacts ------------------------------------------------------------------------------


def test_events_meet_their_contact_whatever_the_type_of_the_key(tmp_path: Path) -> None:
    space = str(uuid.UUID(int=0))
    job = pristo(
        tmp_path,
        pristo_events(user=[1, 2, 3]),
        pl.DataFrame({"id": [" 2 ", "1", "x"], "email": ["b@example.com", "a@example.com", None]}),
        fields={"contact.id": "events.user", "contact.email": "email", "type": "event"},
        rules={"contact_id": {"namespace": space}},
    )
    assert [body["contact"].get("email") for body in job.bodies] == [
        "a@example.com",
        "b@example.com",
    ]
    assert job.reasons == {3: "contact|reachable"}
    assert job.manifest.facts.warnings == (
        "1 event names a contact that is not in the contacts' files (events.parquet row 3: '3')",
    )


@pytest.mark.parametrize("parts", [1, 3])
def test_uuids_meet_whatever_their_case_and_other_keys_only_as_they_are(
    tmp_path: Path, parts: int
) -> None:
    ids = [str(uuid.UUID(int=0xABCDEF << 100 | number)) for number in range(4)]
    contacts = pl.DataFrame({"id": [ids[0], ids[1].upper(), "ab"], "email": ["a@example.com"] * 3})
    events = pristo_events(user=[ids[0].upper(), ids[1], f" {ids[1].title()}", "ab", "AB"])
    job = pristo(
        tmp_path,
        events,
        contacts,
        parts=parts,
        fields={"contact.id": "events.user", "contact.email": "email", "type": "event"},
        rules={"contact_id": {"namespace": ids[3]}},
    )
    assert job.reasons == {5: "contact|reachable"}
    assert [body["contact"]["id"] for body in job.bodies][:3] == [ids[0], ids[1], ids[1]]


def test_contacts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """The first few by file and row, with the beginning of their text."""
    bad = [f"{an_id(9)},bad{number}@example.com,{'x' * 90},more" for number in range(4)]
    (tmp_path / "c1.csv").write_text(f"id,email,name\n{an_id(1)},a@example.com,A\n{bad[0]}\n")
    (tmp_path / "c2.csv").write_text("\n".join(["id,email,name", *bad[1:]]) + "\n")
    pristo_events(user=[an_id(1)]).write_parquet(tmp_path / "events.parquet")
    job = prepare_in(
        tmp_path, "pristo-events", None, **{**PRISTO, "contacts": {"files": "c*.csv", "key": "id"}}
    )
    (warning,) = job.manifest.facts.warnings
    assert warning == (
        "4 rows of the contacts cannot be read and were left out"
        f" (c1.csv row 2: {bad[0][:60]!r}; c2.csv row 1: {bad[1][:60]!r};"
        f" c2.csv row 2: {bad[2][:60]!r}; …)"
    )


def test_of_contacts_whose_uuids_differ_in_case_alone_one_counts(tmp_path: Path) -> None:
    one = str(uuid.UUID(int=0xABCDEF << 100))
    contacts = pl.DataFrame(
        {"id": [one, one.upper()], "email": ["a@example.com"] * 2, "name": ["Old", "New"]}
    )
    job = pristo(tmp_path, pristo_events(user=[one]), contacts)
    assert [body["contact"]["name"] for body in job.bodies] == ["New"]


@pytest.mark.parametrize(("keep", "name"), [("first", "Old"), ("last", "New")])
def test_of_several_rows_of_a_contact_one_counts(tmp_path: Path, keep: str, name: str) -> None:
    contacts = pl.DataFrame(
        {"id": [an_id(1)] * 2, "email": ["a@example.com"] * 2, "name": ["Old", "New"]}
    )
    job = pristo(
        tmp_path, pristo_events(user=[an_id(1)]), contacts, contacts={"key": "id", "keep": keep}
    )
    assert job.bodies[0]["contact"]["name"] == name


def test_a_bad_contact_rejects_its_events_and_no_others(tmp_path: Path) -> None:
    contacts = pl.DataFrame({"id": [an_id(1), an_id(2)], "email": ["no", "b@example.com"]})
    contacts = contacts.with_columns(name=pl.lit("N"))
    job = pristo(tmp_path, pristo_events(user=[an_id(1), an_id(2), an_id(1)]), contacts)
    assert job.reasons == {1: "contact.email|email", 3: "contact.email|email"}
    assert job.manifest.facts.examples["contact.email|email"] == (
        Example(file="events.parquet", row=1, value="no"),
        Example(file="events.parquet", row=3, value="no"),
    )


def test_a_required_field_of_a_contact_that_is_missing_is_required(tmp_path: Path) -> None:
    events = pl.DataFrame({"user": ["1", "2", None], "label": ["a", "b", "c"]})
    contacts = pl.DataFrame({"id": ["1"], "phone": ["+12025550101"]})
    job = prepare_in(
        tmp_path,
        "watch-events",
        events,
        contacts,
        events={"contact_key": "user"},
        contacts={"key": "id"},
        fields=watch_fields(),
    )
    assert job.reasons == {2: "target.value|required", 3: "target.value|required"}


# --- fields --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("otherwise", "labels", "reasons"),
    [
        ("reject", ["Gold"], {2: "label|unmapped", 3: "label|required"}),
        ("keep", ["Gold", "p9"], {3: "label|required"}),
        ("omit", ["Gold"], {2: "label|required", 3: "label|required"}),
        ({"value": "Tin"}, ["Gold", "Tin"], {3: "label|required"}),
    ],
)
def test_a_table_translates_and_says_what_becomes_of_the_rest(
    tmp_path: Path, otherwise: Any, labels: list[str], reasons: dict[int, str]
) -> None:
    events = pl.DataFrame({"phone": ["+12025550101"] * 3, "label": ["p1", "p9", None]})
    label = {"column": "label", "values": {"p1": "Gold"}, "otherwise": otherwise}
    job = prepare_in(tmp_path, "watch-events", events, fields=watch_fields(label=label))
    assert [body["label"] for body in job.bodies] == labels
    assert job.reasons == reasons


def test_an_expression_works_on_one_side_and_its_fault_is_the_configurations(
    tmp_path: Path,
) -> None:
    events = pl.DataFrame({"country": ["1", "44"], "number": ["2025550101", "7700900123"]})
    fields = watch_fields(
        **{"target.value": {"sql": "'+' || country || number"}, "label": {"value": "x"}}
    )
    job = prepare_in(tmp_path, "watch-events", events, fields=fields)
    assert [body["target"]["value"] for body in job.bodies] == ["+12025550101", "+447700900123"]
    bad = {**fields, "label": {"sql": "cast(cast(number || 'x' as int) as varchar)"}}
    with pytest.raises(ConfigError, match="TRY_CAST") as caught:
        prepare_in(tmp_path, "watch-events", None, fields=bad, name="other")
    assert "label" in (caught.value.where or "")
    assert not any((tmp_path / "other").glob(".*"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CAST(CAST(label AS INT) AS VARCHAR)", "TRY_CAST gives null"),
        ("CAST(CAST(label AS DATE) AS VARCHAR)", "STRPTIME"),
        ("STRPTIME(label, '%Y')", "Map the column itself"),
        ("CASE WHEN NOT label THEN 'a' ELSE 'b' END", "compare it, column = 'true'"),
    ],
)
def test_the_expression_that_fails_on_a_row_is_named_and_no_other(
    tmp_path: Path, text: str, words: str
) -> None:
    contacts = pl.DataFrame(
        {"id": [an_id(1)], "email": ["a@example.com"], "name": ["A"], "label": ["gold"]}
    )
    fields = {
        **PRISTO["fields"],
        "contact.email": {"sql": "LOWER(email)", "from": "contacts"},
        "customFields.tier": {"sql": text, "from": "contacts"},
        "customFields.kind": {"sql": "UPPER(event)"},
    }
    with pytest.raises(ConfigError) as caught:
        pristo(tmp_path, pristo_events(user=[an_id(1)]), contacts, fields=fields)
    assert caught.value.where == "[fields] customFields.tier"
    assert text in caught.value.message
    assert words in (caught.value.hint or "")


def test_a_fault_that_comes_from_no_expression_is_not_laid_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise pl.exceptions.ComputeError("our own")

    monkeypatch.setattr("backfill.prepare.partition_stages.Passes.run", broken)
    events = pl.DataFrame({"phone": ["+12025550101"], "label": ["a"]})
    fields = watch_fields(label={"sql": "UPPER(label)"})
    with pytest.raises(pl.exceptions.ComputeError, match="our own"):
        prepare_in(tmp_path, "watch-events", events, fields=fields)


def test_a_bad_optional_value_may_be_left_out_and_is_counted(tmp_path: Path) -> None:
    contacts = pl.DataFrame(
        {"id": [an_id(1), an_id(2)], "email": ["a@example.com", "b@example.com"]}
    ).with_columns(name=pl.Series(["en-US", "he"]))
    events = pristo_events(user=[an_id(1), an_id(2), an_id(1)], note=["x" * 51, "y", "z"])
    fields = {
        **{name: spec for name, spec in PRISTO["fields"].items() if name != "contact.name"},
        "contact.language": "contacts.name",
        "customFields.note": "note",
    }
    rules = {"drop_invalid": ["contact.language", "customFields.note"]}
    job = pristo(tmp_path, events, contacts, fields=fields, rules=rules)
    assert [body["contact"].get("language") for body in job.bodies] == [None, "he", None]
    assert [body.get("customFields") for body in job.bodies] == [None, {"note": "y"}, {"note": "z"}]
    assert job.manifest.dropped == {
        "contact.language|language": 2,
        "customFields.note|max_length": 1,
    }
    assert job.manifest.rejected == 0


def test_an_optional_value_that_stays_out_anyway_may_be_named_all_the_same(tmp_path: Path) -> None:
    contacts = pl.DataFrame({"id": [an_id(1)], "email": ["a@example.com"], "name": ["en-US"]})
    fields = {
        **{name: spec for name, spec in PRISTO["fields"].items() if name != "contact.name"},
        "contact.language": "contacts.name",
    }
    rules = {"drop_invalid": ["contact.language"], "contact": "identifiers"}
    job = pristo(tmp_path, pristo_events(user=[an_id(1)]), contacts, fields=fields, rules=rules)
    assert [body["contact"].get("language") for body in job.bodies] == [None]


def test_a_row_carries_every_rule_that_it_broke(tmp_path: Path) -> None:
    events = pristo_events(user=["nobody"]).with_columns(event=pl.lit(None, pl.String))
    contacts = pl.DataFrame({"id": [an_id(1)], "email": ["a@example.com"], "name": ["A"]})
    job = pristo(tmp_path, events, contacts)
    assert job.reasons == {1: "contact.id|uuid;type|required;contact|reachable"}
    assert job.manifest.reasons == {
        "contact.id|uuid": 1,
        "contact|reachable": 1,
        "type|required": 1,
    }


def test_a_rejected_row_carries_the_rules_of_values_that_might_have_been_left_out(
    tmp_path: Path,
) -> None:
    """Whoever mends it sees all of it; what was left out of good records is another count."""
    contacts = pl.DataFrame({"id": [an_id(1)], "email": ["no address"], "name": ["A"]})
    events = pristo_events(user=[an_id(1)], note=["x" * 51])
    fields = {**PRISTO["fields"], "customFields.note": "note"}
    rules = {"drop_invalid": ["contact.email", "customFields.note"]}
    job = pristo(tmp_path, events, contacts, fields=fields, rules=rules)
    assert job.reasons == {
        1: "customFields.note|max_length;contact.email|email;contact|reachable",
    }
    assert job.manifest.dropped == {}


def test_a_row_that_cannot_be_read_is_malformed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("phone,label\n+12025550101,a\n1,2,3\n+12025550102,b\n")
    job = prepare_in(
        tmp_path,
        "watch-events",
        None,
        events={"files": "events.csv"},
        fields=watch_fields(),
    )
    assert job.reasons == {2: "row|malformed"}
    assert job.rejected["_raw"].to_list() == ["1,2,3"]
    assert job.manifest.facts.examples["row|malformed"][0].value == "1,2,3"
    assert job.ready["row"].sort().to_list() == [1, 3]


def test_typed_columns_keep_their_types_in_all_three_outputs(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {
            "phone": ["+12025550101", "+12025550101", "none"],
            "label": pl.Series(["a", "a", "b"], dtype=pl.Categorical),
            "amount": pl.Series([1, 1, 2], dtype=pl.Int16),
            "at": [START] * 3,
        }
    )
    job = prepare_in(tmp_path, "watch-events", events, events={"time": "at"}, fields=watch_fields())
    own = dict(events.schema)
    assert {name: job.rejected.schema[name] for name in own} == own
    assert {name: job.duplicates.schema[name] for name in own} == own
    assert {name: job.ready.schema[f"source.{name}"] for name in own} == own
    assert job.ready.columns[:7] == ["lane", "file", "row", "time", "key", "record", "body"]


def test_watch_orders_by_a_time_that_may_be_missing_but_not_wrong(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {
            "phone": ["+12025550101"] * 4,
            "label": ["a", "b", "c", "d"],
            "at": ["2024-01-02T00:00:00Z", None, "2024-01-01T00:00:00Z", "soon"],
        }
    )
    job = prepare_in(tmp_path, "watch-events", events, events={"time": "at"}, fields=watch_fields())
    assert job.ready["row"].to_list() == [3, 1, 2]
    assert job.reasons == {4: "time|format"}


# --- whatever the split --------------------------------------------------------------------


def many(count: int = 600) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events of 40 contacts of whom two share each phone; every fifth event stands twice."""
    rows = [index if index % 5 else index // 2 for index in range(count)]
    events = pl.DataFrame(
        {
            "user": [f"U{row % 40}" for row in rows],
            "label": [f"label {row % 7}" for row in rows],
            "at": [START + timedelta(minutes=row % 200) for row in rows],
            "order": [row if row % 11 else None for row in rows],
        }
    )
    contacts = pl.DataFrame(
        {
            "id": [f"u{number}" if number % 2 else f"U{number}" for number in range(40)],
            "phone": [f"+1202555{number // 2:04}" if number % 9 else "no" for number in range(40)],
        }
    )
    return events, contacts


def settled(job: Prepared) -> dict[str, Any]:
    """What a job says of its rows, without where they lie."""
    columns = ["file", "row", "time", "key", "record", "body"]
    facts = job.manifest.facts.model_dump(exclude={"longest_lane", "requests"})
    return {
        "ready": job.ready.select(columns).sort("file", "row").rows(),
        "rejected": job.rejected.rows(),
        "duplicates": job.duplicates.rows(),
        "reasons": job.manifest.reasons,
        "facts": facts,
    }


def check_placement(job: Prepared) -> None:
    """Every key in one lane of one bucket, and each lane where the manifest says it is."""
    homes: dict[str, set[tuple[int, int]]] = {}
    for number, (bucket, rows) in enumerate(zip(job.manifest.buckets, job.buckets, strict=True)):
        assert sum(bucket.lanes) == bucket.rows == rows.height
        assert rows["lane"].rle().struct.field("len").to_list() == list(bucket.lanes)
        assert rows["lane"].unique().sort().to_list() == list(range(len(bucket.lanes)))
        for key, lane in rows.select("key", "lane").unique().iter_rows():
            homes.setdefault(key, set()).add((number, lane))
        order = ["lane", "time", "file", "row"]
        assert rows.select(order).equals(rows.select(order).sort(order, nulls_last=True))
    assert all(len(home) == 1 for home in homes.values())
    assert job.manifest.facts.keys == len(homes)


@pytest.mark.parametrize(
    ("dedupe", "phone"),
    [
        ({}, "contacts.phone"),
        ({}, "events.user"),
        ({"keep": "last"}, "contacts.phone"),
        ({"key": ["label", "time"]}, "contacts.phone"),  # without the ordering key
        ({"key": ["label", "time"]}, "events.user"),
        ({"key": ["target.value"], "keep": "last"}, "events.user"),
    ],
)
def test_one_part_or_many_make_the_same_job(
    tmp_path: Path, dedupe: dict[str, Any], phone: str
) -> None:
    events, contacts = many()
    if phone == "events.user":  # the join key is the ordering key
        numbers = pl.concat_str(pl.lit("+1202555"), pl.col("user").str.slice(1).str.zfill(4))
        events = events.with_columns(user=numbers)
        contacts = contacts.with_columns(
            id=pl.lit("+1202555") + pl.col("id").str.slice(1).str.zfill(4)
        )
    results = []
    for parts in (1, 6):
        job = prepare_in(
            tmp_path,
            "watch-events",
            events,
            contacts,
            parts=parts,
            name=f"job{parts}",
            events={"contact_key": "user", "time": "at"},
            contacts={"key": "id"},
            dedupe=dedupe,
            fields=watch_fields(**{"target.value": phone}),
        )
        check_placement(job)
        assert job.manifest.duplicate > 0
        assert job.manifest.books.balanced
        results.append(settled(job))
    assert results[0] == results[1]


@pytest.mark.parametrize("parts", [1, 8])
@pytest.mark.parametrize("key", [None, ["label"]])
def test_rows_of_several_files_are_told_apart_where_one_repeats_another(
    tmp_path: Path, parts: int, key: list[str] | None
) -> None:
    for name, labels in (("a", "xyx"), ("b", "ywv")):
        frame = pl.DataFrame({"phone": ["+12025550123"] * 3, "label": list(labels)})
        frame.write_parquet(tmp_path / f"{name}.parquet")
    job = prepare_in(
        tmp_path,
        "watch-events",
        None,
        events={"files": ["a.parquet", "b.parquet"]},
        fields=watch_fields(),
        dedupe={"key": key} if key else {},
        parts=parts,
    )
    assert [body["label"] for body in job.bodies] == list("xywv")
    columns = ("_file", "_row", "_kept_file", "_kept_row")
    assert job.duplicates.sort("_file", "_row").select(columns).rows() == [
        ("a.parquet", 3, "a.parquet", 1),
        ("b.parquet", 1, "a.parquet", 2),
    ]


def test_a_part_that_no_contact_falls_into_has_events_without_one(tmp_path: Path) -> None:
    events = pristo_events(user=[an_id(number) for number in range(20)])
    contacts = pl.DataFrame({"id": [an_id(3)], "email": ["a@example.com"], "name": ["Ann"]})
    jobs = [pristo(tmp_path, events, contacts, parts=n, name=f"job{n}") for n in (1, 8)]
    for job in jobs:
        assert [body["contact"]["name"] for body in job.bodies] == ["Ann"]
        assert set(job.reasons) == set(range(1, 21)) - {4}
    assert jobs[0].reasons == jobs[1].reasons


def test_spellings_of_one_ordering_key_come_together(tmp_path: Path) -> None:
    upper, lower = an_id(0xABCDEF).upper(), an_id(0xABCDEF)
    events = pristo_events(user=[upper, f" {lower}", lower, an_id(7)] * 10)
    contacts = pl.DataFrame({"id": [upper, lower, an_id(7)], "email": ["a@example.com"] * 3})
    contacts = contacts.with_columns(name=pl.lit("N"))
    job = pristo(tmp_path, events, contacts, parts=8)
    check_placement(job)
    assert set(job.ready["key"]) == {lower, an_id(7)}


def test_national_and_international_forms_of_a_phone_come_together(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {"phone": ["020 7946 0018", "+442079460018"] * 20, "label": [str(n) for n in range(40)]}
    )
    job = prepare_in(
        tmp_path,
        "watch-events",
        events,
        parts=8,
        fields=watch_fields(),
        rules={"phone_region": "GB"},
    )
    check_placement(job)
    assert set(job.ready["key"]) == {"+442079460018"}


# --- facts ---------------------------------------------------------------------------------


def test_a_plan_knows_its_facts(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {
            "phone": ["+12025550101", "+12025550102", "+12025550101"],
            "kind": ["verification.started"] * 3,
            "id": ["x" * 64, "y" * 65, "z" * 80],
            "at": [START, START + timedelta(days=2), START + timedelta(days=1)],
        }
    )
    stats: list[str] = []
    job = prepare_in(
        tmp_path,
        "watch-feedbacks",
        events,
        events={"time": "at"},
        fields={"target.value": "phone", "type": "kind", "metadata.correlation_id": "id"},
        progress=lambda phase, done, total: stats.append(phase),
    )
    facts = job.manifest.facts
    assert (facts.first_time, facts.last_time) == ("2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z")
    assert (facts.keys, facts.longest_key, facts.longest_lane, facts.requests) == (2, 2, 3, 1)
    assert [json.loads(body)["metadata"]["correlation_id"][0] for body in facts.samples] == [
        "x",
        "y",
        "z",
    ]
    assert facts.warnings[0].startswith("2 records have a metadata.correlation_id of more than 64")
    assert {"splitting", "preparing", "writing"} <= set(stats)


def test_a_source_without_a_good_row_makes_no_bucket(tmp_path: Path) -> None:
    events = pl.DataFrame({"phone": ["no", "none"], "label": ["a", "b"]})
    job = prepare_in(tmp_path, "watch-events", events, fields=watch_fields(), parts=3)
    assert (job.manifest.rejected, job.manifest.ready, job.manifest.buckets) == (2, 0, ())
    assert (job.directory / "ready").is_dir()
    assert job.duplicates.is_empty()


def test_books_that_do_not_balance_end_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "gather", lambda *_: 1)
    events = pl.DataFrame({"phone": ["+12025550101"], "label": ["a"]})
    with pytest.raises(BackfillError, match="do not balance") as caught:
        prepare_in(tmp_path, "watch-events", events, fields=watch_fields())
    assert caught.value.exit_code == 1


# --- earlier jobs --------------------------------------------------------------------------


def as_previous(job: Prepared, rows: set[int], *, rest: bool = False) -> Previous:
    """The job as if these of its rows were delivered."""
    records = (
        job.ready.lazy()
        .filter(pl.col("row").is_in(rows))
        .select(
            "record",
            pl.col("file").alias("number"),
            pl.lit("events.parquet").alias("file"),
            "row",
            pl.lit("delivered").alias("state"),
            "key",
            "time",
        )
    )
    return Previous("old.job", job.manifest, records, rest=rest)


@pytest.mark.parametrize("parts", [1, 5])
def test_what_an_earlier_job_delivered_is_left_out(tmp_path: Path, parts: int) -> None:
    events, contacts = many(100)
    sections: dict[str, Any] = {
        "events": {"contact_key": "user", "time": "at"},
        "contacts": {"key": "id"},
        "fields": watch_fields(**{"target.value": "contacts.phone"}),
    }
    old = prepare_in(tmp_path, "watch-events", events, contacts, name="old.job", **sections)
    old.manifest.write(old.directory)
    sent = set(old.ready["row"].sort()[:20])
    new = prepare_in(
        tmp_path,
        "watch-events",
        None,
        name="new.job",
        parts=parts,
        previous=[as_previous(old, sent)],
        **sections,
    )
    assert set(new.ready["row"]) == set(old.ready["row"]) - sent
    before = new.duplicates.filter(pl.col("_kept_job") == "old.job")
    copies = {row for row, kept in old.kept_of.items() if kept in sent}
    assert set(before["_row"]) == sent | copies
    assert all(row == kept or row in copies for row, kept in new.kept_of.items() if row in sent)
    assert new.manifest.books.balanced


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dedupe": {"key": ["label"]}}, "identity"),
        ({"fields": watch_fields(**{"target.type": {"value": "phone_number"}})}, "identity"),
        ({"fields": watch_fields(label={"value": "seen"})}, r"\[fields\] label"),
    ],
)
def test_what_was_delivered_under_another_mapping_is_asked_about(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    events = pl.DataFrame({"phone": ["+12025550101", "+12025550102"], "label": ["a", "b"]})
    old = prepare_in(tmp_path, "watch-events", events, fields=watch_fields(), name="old.job")
    sections: dict[str, Any] = {"fields": watch_fields(), **changes}
    with pytest.raises(ConfigError, match=words) as raised:
        prepare_in(
            tmp_path, "watch-events", None, name="new.job", previous=[as_previous(old, {1})],
            **sections,
        )  # fmt: skip
    assert "delivered 1 records" in str(raised.value)
    assert "1 of them cannot be recognised" in str(raised.value)
    assert "--rest-of old.job" in str(raised.value)
    none = [as_previous(old, set())]
    new = prepare_in(tmp_path, "watch-events", None, name="none.job", previous=none, **sections)
    assert new.manifest.ready == 2


def test_another_mapping_by_which_every_record_is_recognised_is_no_obstacle(tmp_path: Path) -> None:
    events = pl.DataFrame({"phone": ["+12025550101", "+12025550102"], "label": ["a", "b"]})
    old = prepare_in(tmp_path, "watch-events", events, fields=watch_fields(), name="old.job")
    new = prepare_in(
        tmp_path, "watch-events", events.rename({"label": "kind"}), name="new.job",
        previous=[as_previous(old, {1})], fields=watch_fields(label="kind"),
    )  # fmt: skip
    assert (new.manifest.duplicate, new.manifest.ready) == (1, 1)


PHONES = ["+12025550101", "+12025550102", "+12025550103"]


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(
    ("rows", "alike"),
    [
        pytest.param((PHONES, ["a", "b", "c"], [1, 2, 3]), 0, id="the same rows"),
        pytest.param((PHONES, ["a", "B", "C"], [1, 2, 3]), 1, id="one that was sent is corrected"),
        pytest.param((PHONES, ["d", "e", "f"], [4, 5, 6]), 0, id="later ones"),
        pytest.param((PHONES, ["a", "d", "c"], [1, 1, 3]), 0, id="another key at its time"),
        pytest.param(([*PHONES[:2], PHONES[0]], ["a", "b", "d"], [1, 2, 1]), 0, id="beside it"),
    ],
)
def test_a_record_that_may_be_one_that_was_delivered_is_told(
    tmp_path: Path, parts: int, rows: tuple[list[str], list[str], list[int]], alike: int
) -> None:
    sections: dict[str, Any] = {"events": {"time": "at"}, "fields": watch_fields()}
    old = prepare_in(
        tmp_path,
        "watch-events",
        at_days(PHONES, ["a", "b", "c"], [1, 2, 3]),
        name="old",
        **sections,
    )
    previous = [as_previous(old, {1, 2})]
    sections["events"] = {"time": "at", "files": "april.parquet"}
    at_days(*rows).write_parquet(tmp_path / "april.parquet")
    new = prepare_in(
        tmp_path, "watch-events", None, name="new", parts=parts, previous=previous, **sections
    )
    notes = [each for each in new.manifest.facts.warnings if "goes a second time" in each]
    assert len(notes) == bool(alike)
    if alike:
        assert notes[0].startswith(f"{alike} of the 2 ready records: the key and the time of one")
        assert "(row 2 of april.parquet, for one)" in notes[0]


def at_days(phones: list[str], labels: list[str], days: list[int]) -> pl.DataFrame:
    at = [f"2024-01-{day:02}T00:00:00Z" for day in days]
    return pl.DataFrame({"phone": phones, "label": labels, "at": at})


@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.parametrize("key", [None, ["label"]])
def test_the_rest_of_a_job_is_told_by_file_and_row(
    tmp_path: Path, parts: int, key: list[str] | None
) -> None:
    events, people = many(100)
    sections: dict[str, Any] = {
        "events": {"contact_key": "user", "time": "at"},
        "contacts": {"key": "id"},
        "fields": watch_fields(**{"target.value": "contacts.phone"}),
    }
    old = prepare_in(tmp_path, "watch-events", events, people, name="old.job", **sections)
    sent = set(old.ready["row"].sort()[:20])
    copies = {row for row, kept in old.kept_of.items() if kept in sent}
    sections["fields"] = {**sections["fields"], "confidence": {"value": "low"}}
    if key is None:
        key = list(old.manifest.identity)  # in which nothing is told apart that was one before
    new = prepare_in(
        tmp_path, "watch-events", None, name="new.job", parts=parts,
        previous=[as_previous(old, sent, rest=True)], dedupe={"key": key}, **sections,
    )  # fmt: skip
    before = set(new.duplicates.filter(pl.col("_kept_job") == "old.job")["_row"])
    assert sent | copies <= before
    pending = set(new.ready["row"]) if new.manifest.ready else set()
    assert not pending & (sent | copies)
    if key != ["label"]:
        assert before == sent | copies
        assert pending == set(old.ready["row"]) - sent
    assert new.manifest.books.balanced


@pytest.mark.parametrize("change", ["content", "more", "fewer"])
def test_the_rest_of_a_job_needs_the_files_that_it_had(tmp_path: Path, change: str) -> None:
    events = pl.DataFrame({"phone": ["+12025550101", "+12025550102"], "label": ["a", "b"]})
    files: dict[str, Any] = {"events": {"files": "*.csv"}, "fields": watch_fields()}
    events.write_csv(tmp_path / "a.csv")
    events.write_csv(tmp_path / "b.csv")
    old = prepare_in(tmp_path, "watch-events", None, name="old.job", **files)
    events.reverse().write_csv(tmp_path / ("b.csv" if change == "content" else "c.csv"))
    if change == "fewer":
        (tmp_path / "a.csv").unlink()
        (tmp_path / "c.csv").unlink()
    rest = [as_previous(old, {1}, rest=True)]
    with pytest.raises(ChangedError, match=r"the source is not the one that old\.job"):
        prepare_in(tmp_path, "watch-events", None, name="new.job", previous=rest, **files)


def test_files_of_a_rest_may_have_other_names_and_another_order(tmp_path: Path) -> None:
    files: dict[str, Any] = {"events": {"files": "*.csv"}, "fields": watch_fields()}
    for name, phone in (("a", "+12025550101"), ("b", "+12025550102"), ("c", "+12025550101")):
        pl.DataFrame({"phone": [phone], "label": ["x"]}).write_csv(tmp_path / f"{name}.csv")
    old = prepare_in(tmp_path, "watch-events", None, name="old.job", **files)
    sent = old.ready.filter(pl.col("file") == 1)
    previous = replace(
        as_previous(old, {1}, rest=True),
        records=as_previous(old, {1}).records.filter(pl.col("number") == 1),
    )
    assert sent.height == 1
    (tmp_path / "b.csv").rename(tmp_path / "z.csv")
    new = prepare_in(tmp_path, "watch-events", None, name="new.job", previous=[previous], **files)
    left = new.duplicates.filter(pl.col("_kept_job") == "old.job")
    assert left.select("_file", "_row", "_kept_file", "_kept_state").rows() == [
        ("z.csv", 1, "events.parquet", "delivered")
    ]
    assert new.ready["key"].to_list() == ["+12025550101"]


@pytest.mark.parametrize("parts", [1, 4])
def test_the_first_events_of_unknown_contacts_are_named_whatever_the_parts(
    tmp_path: Path, parts: int
) -> None:
    job = pristo(
        tmp_path,
        pristo_events(user=[None, *map(an_id, range(20))]),
        pl.DataFrame({"id": [an_id(0)], "email": ["a@example.com"], "name": ["Ada"]}),
        parts=parts,
    )
    assert job.manifest.facts.warnings == (
        "20 events name a contact that is not in the contacts' files (events.parquet row 1: no id;"
        f" events.parquet row 3: {an_id(1)!r}; events.parquet row 4: {an_id(2)!r}; …)",
    )


# --- other encodings -----------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 3])
def test_rows_with_bytes_of_another_encoding_are_counted_in_a_remark(
    tmp_path: Path, parts: int
) -> None:
    good = f"{an_id(0)},2024-01-01T00:00:00Z,purchase,Ada\n".encode()
    bad = f"{an_id(0)},2024-01-02T00:00:00Z,purchase,Käte\n".encode("windows-1252")
    torn = f"{an_id(0)},2024-01-03T00:00:00Z,purchase,Ada,5,6,7\n".encode()
    (tmp_path / "events.csv").write_bytes(b"user,at,event,note\n" + good + bad * 2 + torn)
    person = f"{an_id(0)},a@example.com,".encode()
    (tmp_path / "contacts.csv").write_bytes(
        b"id,email,name\n" + person + b"Ada\n" + person + "Zoë\n".encode("windows-1252")
    )
    sides = {
        "events": {"files": "events.csv", "time": "at", "contact_key": "user"},
        "contacts": {"files": "contacts.csv", "key": "id"},
    }
    job = prepare_in(tmp_path, "pristo-events", None, parts=parts, **{**PRISTO, **sides})
    assert job.reasons == dict.fromkeys([2, 3, 4], "row|malformed")
    first, _, last = job.manifest.facts.warnings
    assert first == (
        "2 rows hold bytes that are not UTF-8; `encoding` under [events] names another encoding,"
        ' such as "windows-1252"'
    )
    assert last == (
        "1 row of the contacts holds bytes that are not UTF-8; `encoding` under [contacts] names"
        ' another encoding, such as "windows-1252"'
    )


def test_the_remark_names_the_encoding_that_does_not_fit(tmp_path: Path) -> None:
    row = b"%s,2024-01-02T00:00:00Z,purchase,\x81\n" % an_id(0).encode()
    (tmp_path / "events.csv").write_bytes(b"user,at,event,note\n" + row)
    job = prepare_in(
        tmp_path,
        "pristo-events",
        None,
        events={"files": "events.csv", "time": "at", "encoding": "windows-1252"},
        fields={"contact.id": "user", "contact.email": "note", "type": "event"},
    )
    (remark,) = job.manifest.facts.warnings
    assert remark.startswith("1 row holds bytes that are not windows-1252; `encoding`")


# --- conversions ---------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 4])
def test_conversions_of_phones_are_counted_and_the_first_are_shown(
    tmp_path: Path, parts: int
) -> None:
    phones = ["+442079460010", "(020) 7946 0011", "020 7946 001x", *["020 7946 0012"] * 6]
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"phone": phones, "label": [str(n) for n in range(len(phones))]}),
        parts=parts,
        fields=watch_fields(),
        rules={"phone_region": "GB"},
    )
    facts = job.manifest.facts.model_dump(mode="json")
    assert facts["conversions"] == {
        "target.value": {
            "count": 7,
            "examples": [
                {"file": "events.parquet", "row": row, "from": phones[row - 1], "to": number}
                for row, number in [
                    (2, "+442079460011"),
                    (4, "+442079460012"),
                    (5, "+442079460012"),
                ]
            ],
        }
    }


def test_a_contacts_conversion_counts_for_each_of_its_records(tmp_path: Path) -> None:
    contacts = pl.DataFrame({"id": [an_id(1), an_id(2)], "phone": ["020 7946 0011", None]})
    job = pristo(
        tmp_path,
        pristo_events(user=[an_id(1), an_id(2), an_id(1)]),
        contacts.with_columns(email=pl.lit("a@example.com")),
        fields={
            "contact.id": "events.user",
            "contact.email": "email",
            "contact.phone": "phone",
            "type": "event",
        },
        rules={"phone_region": "GB"},
    )
    found = job.manifest.facts.conversions["contact.phone"]
    assert found.count == 2
    assert [(each.row, each.before, each.after) for each in found.examples] == [
        (1, "020 7946 0011", "+442079460011"),
        (3, "020 7946 0011", "+442079460011"),
    ]


@pytest.mark.parametrize("parts", [1, 4])
def test_the_region_of_a_phone_stands_in_its_row(tmp_path: Path, parts: int) -> None:
    """In any case and with space around it; where it is none or empty nothing is converted."""
    rows = [
        ("020 7946 0011", "GB"),
        ("020 7946 0011", " gb "),
        ("202-555-0143", "US"),
        ("202-555-0143", "United States"),
        ("202-555-0143", None),
        ("202-555-0143", "GB"),
        ("+12025550143", None),
        ("+12025550143", "GB"),
    ]
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame(
            {
                "phone": [phone for phone, _ in rows],
                "country": [country for _, country in rows],
                "label": [str(n) for n in range(len(rows))],
            }
        ),
        parts=parts,
        fields=watch_fields(),
        rules={"phone_region": {"column": "country"}},
    )
    check_placement(job)
    assert [body["target"]["value"] for body in job.bodies] == [
        "+442079460011",
        "+442079460011",
        "+12025550143",
        "+12025550143",
        "+12025550143",
    ]
    assert job.reasons == dict.fromkeys((4, 5, 6), "target.value|e164")
    assert job.manifest.facts.unused_columns == ()


def test_names_of_countries_are_translated_by_a_table_and_codes_stay(tmp_path: Path) -> None:
    country = ["Britain", " Britain ", "us", "Elsewhere", None]
    phones = ["020 7946 0011", "020 7946 0012", "202 555 0143", "020 7946 0013", "+12025550144"]
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"phone": phones, "country": country, "label": list("abcde")}),
        fields=watch_fields(),
        rules={"phone_region": {"column": "country", "values": {"Britain": "GB"}}},
    )
    sent = [body["target"]["value"] for body in job.bodies]
    assert sent == ["+442079460011", "+442079460012", "+12025550143", "+12025550144"]
    assert job.reasons == {4: "target.value|e164"}
    (note,) = [each for each in job.manifest.facts.warnings if "phone_region" in each]
    assert "1 of 4 rows" in note
    assert """Add to its `values`: "Elsewhere" = "…\"""" in note


def test_a_plan_says_that_a_region_is_named_by_no_code(tmp_path: Path) -> None:
    phones = ["020 7946 0011", "020 7946 0012", "+12025550144"]
    contacts = pl.DataFrame({"id": list("abc"), "mobile": phones, "land": ["Britain"] * 3})
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"user": list("abc"), "label": list("abc")}),
        contacts,
        events={"contact_key": "user"},
        contacts={"key": "id"},
        fields=watch_fields(**{"target.value": "contacts.mobile"}),
        rules={"phone_region": {"column": "contacts.land"}},
    )
    (note,) = [each for each in job.manifest.facts.warnings if "phone_region" in each]
    assert "3 of 3 rows of the contacts name their country by no code" in note
    assert 'phone_region = { column = "contacts.land", values = { "Britain" = "…" } }' in note


def test_a_table_of_regions_names_regions_that_have_phones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'XX' is no region that has phone numbers"):
        prepare_in(
            tmp_path,
            "watch-events",
            pl.DataFrame({"phone": ["1"], "country": ["GB"], "label": ["a"]}),
            fields=watch_fields(),
            rules={"phone_region": {"column": "country", "values": {"Nowhere": "XX"}}},
        )


def test_the_region_of_a_contacts_phone_stands_in_its_row(tmp_path: Path) -> None:
    """Also where the phone that joins the files is the ordering key."""
    contacts = pl.DataFrame(
        {"id": ["020 7946 0011", "202 555 0143"], "land": ["Britain", "America"]}
    )
    land = "CASE land WHEN 'Britain' THEN 'GB' WHEN 'America' THEN 'US' END"
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"phone": ["202 555 0143", "020 7946 0011"] * 9, "label": list("ab" * 9)}),
        contacts,
        parts=4,
        events={"contact_key": "phone"},
        contacts={"key": "id"},
        fields=watch_fields(**{"target.value": "contacts.id"}),
        rules={"phone_region": {"sql": land, "from": "contacts"}},
        dedupe={"key": ["target.value", "label"]},
    )
    check_placement(job)
    assert {body["target"]["value"] for body in job.bodies} == {"+442079460011", "+12025550143"}
    assert job.reasons == {}


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ({"column": "contry"}, "no column 'contry'.*country"),
        (
            {"column": "contacts.country"},
            "comes from the contacts, and target.value from the events",
        ),
        ({"sql": "upper(contry)"}, "names the column 'contry'"),
    ],
)
def test_a_region_that_is_no_column_beside_the_phone_is_a_fault_of_the_configuration(
    tmp_path: Path, region: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match="phone_region") as raised:
        prepare_in(
            tmp_path,
            "watch-events",
            pl.DataFrame({"phone": ["1"], "country": ["GB"], "label": ["a"], "id": ["1"]}),
            pl.DataFrame({"id": ["1"], "country": ["GB"]}),
            events={"contact_key": "id"},
            contacts={"key": "id"},
            fields=watch_fields(),
            rules={"phone_region": region},
        )
    assert re.search(words, str(raised.value), re.DOTALL)
