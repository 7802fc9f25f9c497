"""Rows that are left out on purpose: `where`, `since`, `until`, and a table's `otherwise`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.errors import ConfigError
from tests.prepare.prepared import Prepared, configured, prepare_in, prepared, watch_fields


def watch(directory: Path, rows: dict[str, Any], /, **sections: Any) -> Prepared:
    sections.setdefault("fields", watch_fields())
    count = len(next(iter(rows.values())))
    whole = {"phone": [f"+1202555{n:04}" for n in range(count)], "label": ["x"] * count, **rows}
    return prepare_in(directory, "watch-events", pl.DataFrame(whole), **sections)


def excluded(job: Prepared) -> dict[int, str]:
    rows = pl.read_parquet(job.directory / "excluded.parquet")
    return dict(zip(rows["_row"], rows["_reason"], strict=True))


def test_where_leaves_rows_out(tmp_path: Path) -> None:
    """A row for which the condition has no value is excluded, as SQL's WHERE does it."""
    job = watch(
        tmp_path,
        {"amount": [5, -1, None, 0, 7]},
        events={"where": "amount > 0"},
    )
    assert excluded(job) == {2: "row|where", 3: "row|where", 4: "row|where"}
    assert (job.manifest.excluded, job.manifest.ready, job.manifest.input) == (3, 2, 5)
    assert job.manifest.exclusions == {"row|where": 3}
    assert "events.amount" not in job.manifest.facts.unused_columns


def test_since_and_until_go_by_the_time(tmp_path: Path) -> None:
    """`since` belongs to the span and `until` does not; both are local times of `timezone`."""
    at = ["2022-12-31T21:59:59Z", "2022-12-31T22:00:00Z", "2023-01-31T21:59:59Z", "2023-02-01"]
    job = watch(
        tmp_path,
        {"at": at},
        events={
            "time": "at",
            "timezone": "Asia/Jerusalem",
            "since": "2023-01-01",
            "until": date(2023, 2, 1),
        },
    )
    assert excluded(job) == {1: "row|since", 4: "row|until"}
    assert job.manifest.facts.selection == {
        "since": "2022-12-31T22:00:00Z",
        "until": "2023-01-31T22:00:00Z",
    }


def test_a_moment_without_a_zone_is_one_of_utc_where_there_is_no_zone(tmp_path: Path) -> None:
    at = [datetime(2023, 1, 1, tzinfo=UTC), datetime(2022, 12, 31, 23, 59, tzinfo=UTC)]
    job = watch(tmp_path, {"at": at}, events={"time": "at", "since": "2023-01-01"})
    assert excluded(job) == {2: "row|since"}


def test_a_time_that_cannot_be_read_is_rejected_not_excluded(tmp_path: Path) -> None:
    """Nobody can say on which side of the line such a row stands, also where it has no time."""
    at = ["soon", None, "2021-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]
    job = watch(tmp_path, {"at": at}, events={"time": "at", "since": "2023-01-01"})
    assert job.reasons == {1: "time|format", 2: "time|required"}
    assert excluded(job) == {3: "row|since"}


def test_a_value_outside_a_table_can_exclude_its_record(tmp_path: Path) -> None:
    """A missing value is none: it is judged by the field's own rules."""
    fields = watch_fields(
        label={"column": "kind", "values": {"a": "account.a"}, "otherwise": "exclude"}
    )
    job = watch(tmp_path, {"kind": ["a", "b", None]}, fields=fields)
    assert excluded(job) == {2: "label|otherwise"}
    assert job.reasons == {3: "label|required"}
    assert job.manifest.facts.tables["label"] == {"a": "account.a", "(any other)": "(excluded)"}


def test_a_table_over_the_contacts_can_exclude(tmp_path: Path) -> None:
    events = pl.DataFrame({"who": [1, 2, 3]})
    contacts = pl.DataFrame(
        {"id": [1, 2], "phone": ["+12025550101", "no phone"], "plan": ["gold", "free"]}
    )
    job = prepare_in(
        tmp_path,
        "watch-events",
        events,
        contacts,
        events={"contact_key": "who"},
        contacts={"key": "id"},
        fields=watch_fields(
            label={"column": "plan", "values": {"gold": "paid"}, "otherwise": "exclude"}
        ),
    )
    assert excluded(job) == {2: "label|otherwise"}  # whatever else is wrong with it
    assert set(job.reasons) == {3}
    assert "1 event names" in " ".join(job.manifest.facts.warnings)  # row 3 alone


def test_an_excluded_row_takes_part_in_nothing(tmp_path: Path) -> None:
    """It breaks no rule, and nothing is a duplicate of it."""
    job = watch(
        tmp_path,
        {
            "phone": ["+12025550101", "+12025550101", "broken", "+12025550101"],
            "use": [False, True, False, True],
        },
        events={"where": "use"},
    )
    assert set(excluded(job)) == {1, 3}
    assert job.reasons == {}
    assert job.kept_of == {4: 2}


def test_a_row_that_cannot_be_read_stays_rejected(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "phone,label,use\n+12025550101,x,yes\n+12025550102,x,yes,more\n+12025550103,x,no\n"
    )
    job = prepare_in(
        tmp_path,
        "watch-events",
        None,
        events={"files": "events.csv", "where": "use = 'yes'"},
        fields=watch_fields(),
    )
    assert job.reasons == {2: "row|malformed"}
    assert excluded(job) == {3: "row|where"}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ({"where": "amuont > 0"}, "amuont.*amount"),
        ({"where": "amount + 1"}, "not true or false"),
        ({"where": "sum(amount) > 0"}, "contains"),
        ({"where": " "}, "empty"),
        ({"since": "2023-01-01"}, "no `time`"),
        ({"since": "tomorrow", "time": "at"}, "not a date or a time"),
        ({"since": 3, "time": "at"}, "is a date or a time"),
        ({"since": "2023-02-01", "until": "2023-02-01", "time": "at"}, "no row is wanted"),
        (
            {"since": "2024-03-31T01:30:00", "time": "at", "timezone": "Europe/London"},
            "put forward",
        ),
    ],
)
def test_a_selection_that_does_not_fit_is_refused(
    tmp_path: Path, events: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=f"(?s){words}") as caught:
        watch(tmp_path, {"amount": [1], "at": ["2024-01-01"]}, events=events)
    assert "events" in str(caught.value)


def test_a_condition_that_fails_on_some_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TRY_CAST") as caught:
        watch(tmp_path, {"n": ["1", "x"]}, events={"where": "CAST(n AS INT) > 0"})
    assert "[events] where" in str(caught.value)


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([True, False, None]), st.integers(0, 3)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([1, 3]),
)
def test_the_books_balance_whatever_is_excluded(
    rows: list[tuple[int, bool | None, int]], parts: int
) -> None:
    """What is not excluded has the fate that it has where the excluded rows were never there."""
    frame = pl.DataFrame(
        {
            "phone": [f"+1202555010{who}" if who else "none" for who, _, _ in rows],
            "label": ["x"] * len(rows),
            "use": [use for _, use, _ in rows],
            "at": [f"2024-01-0{day + 1}T00:00:00Z" for _, _, day in rows],
        },
        schema_overrides={"use": pl.Boolean},
    )
    wanted = pl.col("use").fill_null(value=False) & (pl.col("at") >= "2024-01-02")
    few = frame.filter(wanted)
    chosen = {"time": "at", "where": "use", "since": "2024-01-02"}
    with prepared("watch-events", frame, events=chosen, fields=watch_fields(), parts=parts) as job:
        found = job.manifest
        assert found.input == found.excluded + found.rejected + found.duplicate + found.ready
        assert found.excluded == len(rows) - few.height
        bodies = job.bodies
    if few.height:
        with prepared("watch-events", few, events={"time": "at"}, fields=watch_fields()) as job:
            other = job.manifest
            assert (found.rejected, found.duplicate, found.ready) == (
                other.rejected,
                other.duplicate,
                other.ready,
            )
            assert bodies == job.bodies


def test_a_shape_of_an_older_version_is_still_the_same_one(tmp_path: Path) -> None:
    """Keys that it did not know had no effect, so the job goes on."""
    pl.DataFrame({"phone": ["+12025550101"]}).write_parquet(tmp_path / "events.parquet")
    config = configured(tmp_path, "watch-events", fields=watch_fields())
    old = config.shape()
    old["events"] = {
        name: value
        for name, value in old["events"].items()
        if name not in ("where", "since", "until")
    }
    assert config.has_shape(old)
    chosen = configured(
        tmp_path, "watch-events", events={"where": "phone <> ''"}, fields=watch_fields()
    )
    assert not chosen.has_shape(old)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("keep", ["last", "fill"])
def test_a_condition_on_contacts_excludes_their_events(
    tmp_path: Path, parts: int, keep: str
) -> None:
    """Events that name no known contact are judged by the rules alone."""
    contacts = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "is_test": ["f", "t", None, "f"],
            "mobile": ["+12025550101", "+12025550102", "+12025550103", "none"],
        }
    )
    job = prepare_in(
        tmp_path,
        "watch-events",
        pl.DataFrame({"user": ["a", "b", "c", "d", "e", "b"], "label": list("xxxxxy")}),
        contacts,
        parts=parts,
        events={"contact_key": "user"},
        contacts={"key": "id", "keep": keep, "where": "is_test = 'f'"},
        fields=watch_fields(**{"target.value": "contacts.mobile"}),
    )
    assert excluded(job) == {2: "contact|where", 3: "contact|where", 6: "contact|where"}
    assert job.manifest.facts.selection == {"contacts where": "is_test = 'f'"}
    assert job.reasons == {4: "target.value|e164", 5: "target.value|required"}
    assert job.manifest.ready == 1


def test_a_condition_on_contacts_stands_with_the_contacts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stands under \[contacts\]"):
        watch(tmp_path, {"n": [1]}, events={"where": "contacts.is_test = 'f'"})


@pytest.mark.parametrize(
    ("where", "words"),
    [(" ", "is empty"), ("is_test", "gives String"), ("tset = 'f'", "names the column 'tset'")],
)
def test_a_condition_on_contacts_that_cannot_be_one_is_named(
    tmp_path: Path, where: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        prepare_in(
            tmp_path,
            "watch-events",
            pl.DataFrame({"phone": ["+12025550101"], "user": ["a"], "label": ["x"]}),
            pl.DataFrame({"id": ["a"], "is_test": ["f"]}),
            events={"contact_key": "user"},
            contacts={"key": "id", "where": where},
            fields=watch_fields(),
        )
    assert "[contacts]" in str(raised.value)
