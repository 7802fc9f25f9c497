"""`backfill show`: the whole story of one record, whatever became of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import backfill as library
from backfill.core.secret import Secret
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill

CONFIG = """
destination = "pristo-events"
population = "00000000-0000-4000-8000-000000000000"
[events]
files = "events.csv"
contact_key = "user"
time = "at"
timezone = "UTC"
where = "kind <> 'test'"
[contacts]
files = "contacts.csv"
key = "id"
[fields]
"contact.id" = "events.user"
"contact.email" = "contacts.email"
"type" = "kind"
"customFields.plan" = { column = "contacts.plan", values = { p1 = "gold" }, otherwise = "omit" }
"customFields.note" = "note"
"""
ONE, TWO = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "6f9619ff-8b86-4d01-b42d-00cf4fc964fe"
ROWS = f"""user,kind,at,note
{ONE},buy,2024-01-01 10:00,first
{ONE.upper()},buy,2024-01-01 11:00,
{ONE},buy,2024-01-01 10:00,first
nobody,buy,2024-01-01 12:00,x
{ONE},test,2024-01-01 12:00,x
{TWO},buy,2024-01-01 12:00,bad
"a,b
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "pristo.toml").write_text(CONFIG)
    (tmp_path / "events.csv").write_text(ROWS)
    (tmp_path / "contacts.csv").write_text(
        f"id,email,plan\n{ONE},one@example.com,p1\n{TWO},two@example.com,p9\n"
    )
    return tmp_path


def refusals(arrival):
    """The note `bad` is refused for good, the record `first` is throttled once before."""
    body = json.loads(arrival.body)
    if body["customFields"].get("note") == "bad":
        return "bad-item"
    return "429:0.01" if arrival.number == 0 else None


def test_every_state_has_its_story(place):
    job = library.plan(place / "pristo.toml")
    pending = job.show(1)
    assert (pending.state, pending.requests, pending.reason) == ("pending", (), None)
    with running_sandbox(faults=refusals, retry_after="milliseconds") as server:
        job.run(base_url=server.url, credential=Secret("x"), concurrency=1, max_errors=5)
    assert job.status().books.balanced
    states = {row: job.show(row).state.value for row in range(1, 8)}
    assert states == {
        1: "delivered",
        2: "delivered",
        3: "duplicate",
        4: "rejected",
        5: "excluded",
        6: "failed",
        7: "rejected",
    }
    said = {row: job.show(row) for row in states}

    sent = {each.name: (each.raw, each.sent) for each in said[2].fields}
    assert sent["contact.id"] == (ONE.upper(), ONE)
    assert sent["contact.email"] == ("one@example.com", "one@example.com")
    assert sent["customFields.plan"] == ("p1", "gold")
    assert sent["occurredAt"] == ("2024-01-01 11:00", "2024-01-01T11:00:00Z")
    assert sent["customFields.note"] == (None, None)

    first = said[1]
    outcomes = [(each.outcome, each.http_status) for each in first.requests]
    assert outcomes in ([("delivered", 201)], [("pending", 429), ("delivered", 201)])
    assert first.place is not None
    assert (first.place["before"], first.place["after"]) == (None, "events.csv:2")
    assert json.loads(first.body or "")["contact"]["id"] == ONE
    assert [said[6].requests[-1].outcome, said[6].requests[-1].http_status] == ["failed", 400]
    throttled = [row for row in (1, 2, 6) if any(r.http_status == 429 for r in said[row].requests)]
    assert len(throttled) == 1

    broken = {each.name: each.broken for each in said[4].fields}
    assert broken["contact.id"] == ("contact.id|uuid",)
    assert said[4].body is None
    assert said[3].reason == "same record as events.csv:1"
    assert said[5].reason == "row|where"
    assert said[7].raw is not None
    assert "a,b" in said[7].raw
    assert all(each.helps for each in said.values())
    assert "gold" in said[2]._repr_html_()


def test_the_story_of_a_record_that_was_retried_has_its_requests_from_before(place):
    """It told the last request alone, and the refusal that led to the retry was forgotten."""
    job = library.plan(place / "pristo.toml")
    with running_sandbox(faults=refusals, retry_after="milliseconds") as server:
        job.run(base_url=server.url, credential=Secret("x"), concurrency=1, max_errors=5)
        refused = job.show(6).requests[-1]
        assert job.retry() == 1
        again = job.show(6).requests[-1]
        assert (again.outcome, again.http_status, again.at) == ("pending", 400, refused.at)
        assert refused.words in again.words
        job.run(base_url=server.url, credential=Secret("x"), max_errors=5)
    outcomes = [(each.outcome, each.http_status) for each in job.show(6).requests]
    assert outcomes[-2:] == [("pending", 400), ("failed", 400)]


def test_it_is_told_on_a_terminal_and_as_one_object(place):
    backfill("plan", "pristo.toml", cwd=place, expect=[0])
    told = backfill("show", "pristo.job", "1", cwd=place, expect=[0]).out
    assert "p1 → gold" in told
    assert re.search(r"lane \d+, 1 of 2", told)
    found = backfill("show", "pristo.toml", "events.csv:4", "--json", cwd=place, expect=[0]).json
    assert (found["row"], found["state"], found["columns"]["user"]) == (4, "rejected", "nobody")
    assert found["body"] is None


def test_looking_changes_nothing_and_needs_no_source(place):
    job = library.plan(place / "pristo.toml")
    (place / "contacts.csv").unlink()
    (place / "events.csv").unlink()
    found = {each.name: (each.raw, each.sent) for each in job.show(1).fields}
    assert found["contact.email"] == (None, "one@example.com")
    assert found["type"] == ("buy", "buy")


@pytest.mark.parametrize(
    ("row", "told"),
    [("99", "no row 99"), ("x", "is no row"), ("other.csv:1", "no file"), ("0", "numbered from 1")],
)
def test_a_row_that_is_not_there_is_said(place, row, told):
    backfill("plan", "pristo.toml", cwd=place, expect=[0])
    assert told in backfill("show", "pristo.job", row, cwd=place, expect=[2]).err


def test_with_several_files_the_file_is_named(place):
    config = place / "pristo.toml"
    config.write_text(CONFIG.replace('"events.csv"', '"part-*.csv"'))
    text = (place / "events.csv").read_text()
    for name in ("part-1.csv", "part-2.csv"):
        (place / name).write_text(text)
    job = library.plan(config)
    with pytest.raises(library.BackfillError, match="stands in 2 files") as raised:
        job.show(1)
    assert "part-1.csv:1" in str(raised.value.hint)
    assert job.show("part-2.csv:1").reason == "same record as part-1.csv:1"
