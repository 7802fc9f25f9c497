"""Jobs that come after others: the rest of one, and what earlier ones delivered."""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import backfill as package
from backfill.core.errors import BusyError, ChangedError, ConfigError, JobError
from backfill.core.model import Batch
from backfill.core.secret import Secret
from backfill.jobs.access.working import working_on
from backfill.jobs.opening import find_or_plan
from backfill.ledger import Ledger
from backfill.sandbox import running_sandbox
from tests.acceptance.program import backfill
from tests.acceptance.sources import pristo_job

KEY = Secret("key")


def orders(server) -> list[str]:
    return [each.record["customFields"]["order"] for each in server.accepted]


def rename_type(config: Path, old: str = "event", new: str = "mended") -> None:
    """Change a mapped constant, and with it the identity of every record."""
    text = config.read_text().replace(f'"type" = "{old}"', f'"type" = {{ value = "{new}" }}')
    config.write_text(text)


def after(config: Path, name: str, *earlier: str) -> Path:
    later = config.with_name(f"{name}.toml")
    dedupe = f"[dedupe]\ndelivered_by = {json.dumps(list(earlier))}\n[delivery]"
    later.write_text(config.read_text().replace("[delivery]", dedupe))
    return later


@pytest.fixture
def server():
    with running_sandbox() as server:
        yield server


# --- contacts that were exported anew -----------------------------------------------------------

PEOPLE = """
destination = "watch-events"
[events]
files = "events.csv"
contact_key = "user"
time = "at"
[contacts]
files = "people.csv"
key = "id"
[fields]
"target.value" = "contacts.phone"
"label" = "event"
"confidence" = { value = "neutral" }
[delivery]
"""


def exported(folder: Path, phones: list[str], days: int) -> None:
    """So many events of two people, and their phones as they are now."""
    lines = [f"{'ab'[day % 2]},event {day},2024-03-{day + 1:02}T10:00:00Z" for day in range(days)]
    (folder / "events.csv").write_text("\n".join(["user,event,at", *lines, ""]))
    people = [f"{name},{phone}" for name, phone in zip("ab", phones, strict=True)]
    (folder / "people.csv").write_text("\n".join(["id,phone", *people, ""]))


BEFORE, AFTER = ["+12025550143", "+12025550144"], ["+12025550143", "+12025550145"]


def labels(server) -> list[str]:
    return sorted(each.record["label"] for each in server.accepted)


def test_after_the_contacts_changed_the_way_on_sends_nothing_twice(tmp_path, server):
    exported(tmp_path, BEFORE, 2)
    config = tmp_path / "march.toml"
    config.write_text(PEOPLE + f'base_url = "{server.url}"\n')
    run = ["run", config.name, "--json"]
    backfill(*run, "--only", "label=event 1", cwd=tmp_path, expect=[8])
    exported(tmp_path, AFTER, 2)
    hint = backfill(*run, cwd=tmp_path, expect=[10]).json["error"]["hint"]
    command = hint.partition("backfill ")[2].split()
    assert command[-2:] == ["--rest-of", "march.job"]
    planned = backfill(*command, "--json", cwd=tmp_path, expect=[0]).json
    assert (planned["records"]["duplicate"], planned["records"]["pending"]) == (1, 1)
    backfill(*planned["next"].split()[1:], "--json", cwd=tmp_path, expect=[0])
    assert labels(server) == ["event 0", "event 1"]


@pytest.mark.parametrize(("phones", "told"), [(AFTER, True), (BEFORE, False)])
def test_a_plan_after_new_contacts_says_what_it_does_not_recognise(tmp_path, server, phones, told):
    exported(tmp_path, BEFORE, 2)
    config = tmp_path / "march.toml"
    config.write_text(PEOPLE + f'base_url = "{server.url}"\n')
    backfill("run", config.name, cwd=tmp_path, expect=[0])
    exported(tmp_path, phones, 3)
    people = tmp_path / "people.csv"
    people.write_text(people.read_text() + "c,+12025550146\n")
    april = after(config, "april", "march.job")
    notes = package.plan(april).manifest.facts.warnings
    found = [each for each in notes if "1 of the 2 records that march.job delivered" in each]
    assert bool(found) == told


def planned_for(server, path: Path, files: str, *earlier: str, **changes: str) -> Path:
    """A configuration of these files, after these jobs."""
    text = PEOPLE + f'base_url = "{server.url}"\n[dedupe]\ndelivered_by = {json.dumps(earlier)}\n'
    changes = {'"events.csv"': files, **changes}
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
    return path


def people(folder: Path, *phones: str) -> None:
    lines = [f"{name},{phone}" for name, phone in zip("ab", phones, strict=True)]
    (folder / "people.csv").write_text("\n".join(["id,phone", *lines, ""]))


def split_events(folder: Path) -> None:
    """Two events in each of the files a, b and c."""
    exported(folder, BEFORE, 6)
    header, *lines = (folder / "events.csv").read_text().splitlines()
    for name, start in (("a", 0), ("b", 2), ("c", 4)):
        text = "\n".join([header, *lines[start : start + 2], ""])
        (folder / f"{name}.csv").write_text(text)


def test_rows_of_a_file_that_both_read_are_known_whatever_became_of_their_contacts(
    tmp_path, server
):
    """Found from outside: the way on that the refusal named was itself refused."""
    split_events(tmp_path)
    first = planned_for(server, tmp_path / "march.toml", '["a.csv", "b.csv"]')
    package.plan(first).run(credential=KEY)
    people(tmp_path, *AFTER)
    # One that says an event of the first files again, and one whose contact stayed.
    with (tmp_path / "c.csv").open("a") as file:
        file.write("b,event 3,2024-03-04T10:00:00Z\na,event 2,2024-03-03T10:00:00Z\n")
    second = package.plan(
        planned_for(server, tmp_path / "april.toml", '["b.csv", "c.csv"]', "march.job")
    )
    assert (second.status().books.duplicate, second.status().books.pending) == (4, 2)
    known = second.duplicates.filter(pl.col("_kept_job") == "march.job")
    assert set(known["_kept_file"]) == {"b.csv"}
    second.run(credential=KEY)
    assert labels(server) == [f"event {number}" for number in range(6)]


def test_a_file_that_two_earlier_jobs_know_is_left_out_once(tmp_path, server):
    split_events(tmp_path)
    for name, earlier in (("march", []), ("april", ["march.job"])):
        config = planned_for(server, tmp_path / f"{name}.toml", '["a.csv", "b.csv"]', *earlier)
        package.plan(config).run(credential=KEY)
    people(tmp_path, *AFTER)
    both = ("march.job", "april.job")
    job = package.plan(planned_for(server, tmp_path / "may.toml", '["b.csv", "c.csv"]', *both))
    assert (job.status().books.duplicate, job.status().books.pending) == (2, 2)


def test_what_a_later_job_knows_of_an_earlier_one_is_not_said_to_be_sent_again(tmp_path, server):
    split_events(tmp_path)
    package.plan(planned_for(server, tmp_path / "march.toml", '"a.csv"')).run(credential=KEY)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("b,event 9,2024-03-09T10:00:00Z\n")
    april = planned_for(server, tmp_path / "april.toml", '"a.csv"', "march.job")
    package.plan(april).run(credential=KEY)
    people(tmp_path, *AFTER)
    for name, earlier, told in (
        ("may", ["march.job", "april.job"], []),
        ("june", ["march.job"], ["march.job"]),
    ):
        job = package.plan(
            planned_for(server, tmp_path / f"{name}.toml", '["a.csv", "c.csv"]', *earlier)
        )
        notes = [each for each in job.manifest.facts.warnings if "not recognised" in each]
        assert [each for each in earlier if any(each in note for note in notes)] == told
        assert job.status().books.pending == (4 if told else 2)


def test_what_the_first_of_three_jobs_delivered_is_not_said_to_be_sent_again(tmp_path, server):
    """Found from outside: the rest of the second one left it out, and noted the contrary."""
    split_events(tmp_path)
    package.plan(planned_for(server, tmp_path / "march.toml", '"a.csv"')).run(credential=KEY)
    later = tmp_path / "april.csv"
    later.write_text((tmp_path / "events.csv").read_text())
    april = planned_for(server, tmp_path / "april.toml", '"april.csv"', "march.job")
    package.plan(april).run(credential=KEY, only={"label": "event 3"})
    earlier = "april"
    for name, phone in (("may", "+12025550145"), ("june", "+12025550146")):
        people(tmp_path, BEFORE[0], phone)
        place, before = tmp_path / f"{name}.job", tmp_path / f"{earlier}.job"
        rest = package.plan(april, job=place, rest_of=before)
        assert not [each for each in rest.manifest.facts.warnings if "not recognised" in each]
        rest.run(credential=KEY, limit=1)
        earlier = name
    rest.run(credential=KEY)
    assert labels(server) == [f"event {number}" for number in range(6)]


def test_a_mended_mapping_may_be_planned_for_the_rest_of_a_job_that_came_after_another(
    tmp_path, server
):
    """The job that it is the rest of has looked at the other one, by the mapping of then."""
    split_events(tmp_path)
    package.plan(planned_for(server, tmp_path / "march.toml", '"a.csv"')).run(credential=KEY)
    given = (server, tmp_path / "april.toml", '["a.csv", "b.csv"]', "march.job")
    package.plan(planned_for(*given)).run(credential=KEY, limit=1)
    rest = package.plan(planned_for(*given, neutral="low"), rest_of=tmp_path / "april.job")
    rest.run(credential=KEY)
    assert labels(server) == [f"event {number}" for number in range(4)]


def test_another_mapping_over_some_of_the_files_is_told_a_way_that_can_be_gone(tmp_path, server):
    split_events(tmp_path)
    first = planned_for(server, tmp_path / "march.toml", '["a.csv", "b.csv"]')
    package.plan(first).run(credential=KEY)
    given = (server, tmp_path / "april.toml", '["b.csv", "c.csv"]', "march.job")
    with pytest.raises(ConfigError, match="under another mapping") as raised:
        package.plan(planned_for(*given, neutral="low"))
    assert "It has read b.csv as well" in (raised.value.hint or "")
    only_new = planned_for(server, tmp_path / "april.toml", '"c.csv"', neutral="low")
    assert package.plan(only_new).status().books.pending == 2


def test_files_that_were_added_to_the_configuration_are_no_rest(tmp_path, server):
    """Found from outside: the message named `--rest-of`, which needs the files that there were."""
    split_events(tmp_path)
    config = planned_for(server, tmp_path / "march.toml", '"a.csv"')
    package.plan(config).run(credential=KEY, limit=1)
    planned_for(server, config, '["a.csv", "b.csv"]')
    with pytest.raises(ChangedError, match=r"\[events\] files") as raised:
        package.plan(config)
    hint = raised.value.hint or ""
    assert "--rest-of" not in hint
    assert "--job NEW.job" in hint
    both = planned_for(server, tmp_path / "both.toml", '["a.csv", "b.csv"]', "march.job")
    assert package.plan(both).status().books.duplicate == 1


def test_whoever_sends_the_rest_of_a_job_that_is_named_is_as_good_as_named(tmp_path, server):
    """What the rest had delivered was sent a second time."""
    split_events(tmp_path)
    config = planned_for(server, tmp_path / "march.toml", '"events.csv"')
    package.plan(config).run(credential=KEY, limit=2)
    april = package.plan(planned_for(server, tmp_path / "april.toml", '"events.csv"', "march.job"))
    package.plan(config, job=tmp_path / "rest.job", rest_of=tmp_path / "march.job").run(
        credential=KEY
    )
    with pytest.raises(ChangedError, match=r"rest\.job has sent 4 records"):
        april.run(credential=KEY)
    assert package.plan(tmp_path / "april.toml").status().books.duplicate == 6
    (tmp_path / "rest.job").rename(tmp_path / "elsewhere.job")
    may = planned_for(server, tmp_path / "may.toml", '"events.csv"', "march.job")
    with pytest.raises(JobError, match="is not there any more"):
        package.plan(may)
    assert labels(server) == [f"event {number}" for number in range(6)]


# --- the rest of a job ------------------------------------------------------------------------


def test_after_a_wrong_mapping_the_hint_sends_the_rest_and_nothing_twice(tmp_path, server):
    config = pristo_job(tmp_path, 60)
    run = ["--json", "--base-url", server.url]
    backfill("run", config.name, *run, "--limit", "20", cwd=tmp_path, expect=[8])
    rename_type(config)
    refused = backfill("run", config.name, *run, cwd=tmp_path, expect=[10]).json["error"]
    assert "delivered_by" not in refused["hint"]
    command = refused["hint"].partition(": ")[2].split()
    assert command[:2] == ["backfill", "plan"]
    assert command[-2:] == ["--rest-of", "pristo.job"]
    planned = backfill(*command[1:], "--json", cwd=tmp_path, expect=[0]).json
    assert planned["job"].endswith("pristo-rest.job")
    assert planned["records"]["duplicate"] == 20
    assert planned["records"]["pending"] == 40
    assert f"--job {planned['job']}" in planned["next"]
    assert f"--base-url {server.url}" in planned["next"]
    first = backfill("status", "pristo.job", "--json", cwd=tmp_path, expect=[0]).json
    assert (first["phase"], first["records"]["pending"], first["next"]) == ("abandoned", 40, None)
    backfill("run", "pristo.job", *run, cwd=tmp_path, expect=[2, 10])
    ended = backfill(*planned["next"].split()[1:], "--json", cwd=tmp_path, expect=[0]).json
    assert ended["records"]["delivered"] == 40
    assert sorted(orders(server)) == sorted(f"order-{number}" for number in range(60))
    types = Counter(each.record["type"] for each in server.accepted)
    assert types == {"purchase": 20, "mended": 40}
    reasons = package.open_job(tmp_path / planned["job"]).records("duplicate")["_reason"]
    assert all(
        reason.startswith("delivered by pristo.job as events.parquet:") for reason in reasons
    )


@pytest.mark.parametrize("state", ["rejected", "excluded"])
def test_what_was_delivered_stays_so_where_the_mended_configuration_would_leave_it_out(
    tmp_path, server, state
):
    config = pristo_job(tmp_path, 30)
    right = config.read_text()
    run = ["--json", "--base-url", server.url]
    backfill("run", config, *run, "--limit", "10", cwd=tmp_path, expect=[8])
    wrong = {"rejected": right + '\n[rules]\nevent_types = ["another"]\n'}
    wrong["excluded"] = right.replace("[events]", "[events]\nwhere = \"order_no = 'none'\"")
    config.write_text(wrong[state])
    rest = ["plan", config, "--json", "--rest-of"]
    mistaken = backfill(*rest, "pristo.job", "--job", "b.job", cwd=tmp_path, expect=[0, 3]).json
    assert (mistaken["records"]["duplicate"], mistaken["records"][state]) == (10, 20)
    left_out = package.open_job(tmp_path / "b.job").records("duplicate")["_reason"]
    assert all(reason.startswith("delivered by pristo.job as") for reason in left_out)
    config.write_text(right)
    planned = backfill(*rest, "b.job", "--job", "c.job", cwd=tmp_path, expect=[0]).json
    assert (planned["records"]["duplicate"], planned["records"]["pending"]) == (10, 20)
    backfill("run", config, "--job", "c.job", *run, cwd=tmp_path, expect=[0])
    assert sorted(orders(server)) == sorted(f"order-{number}" for number in range(30))


def test_the_rest_is_planned_for_one_job_only_once_it_is_being_sent(tmp_path, server):
    config = pristo_job(tmp_path, 30)
    run = ["--json", "--base-url", server.url]
    backfill("run", config, *run, "--limit", "10", cwd=tmp_path, expect=[8])
    rest = ["plan", config, "--rest-of", "pristo.job", "--json", "--job"]
    backfill(*rest, "one.job", cwd=tmp_path, expect=[0])
    backfill(*rest, "two.job", cwd=tmp_path, expect=[0])  # nothing of the first was sent yet
    refused = backfill("run", config, "--job", "one.job", *run, cwd=tmp_path, expect=[10])
    assert "given to another job" in refused.err
    backfill("run", config, "--job", "two.job", *run, "--limit", "5", cwd=tmp_path, expect=[8])
    refused = backfill(*rest, "three.job", cwd=tmp_path, expect=[2])
    assert "two.job has begun to send the rest" in refused.err
    assert "--rest-of two.job" in refused.err
    rest[3] = "two.job"
    chained = backfill(*rest, "three.job", cwd=tmp_path, expect=[0]).json
    assert (chained["records"]["duplicate"], chained["records"]["pending"]) == (15, 15)
    backfill("run", config, "--job", "three.job", *run, cwd=tmp_path, expect=[0])
    assert sorted(orders(server)) == sorted(f"order-{number}" for number in range(30))


def test_the_rest_of_a_rehearsal_does_not_go_elsewhere(tmp_path, server):
    config = pristo_job(tmp_path, 12)
    run = ["--json", "--base-url"]
    backfill("run", config, *run, server.url, "--limit", "4", cwd=tmp_path, expect=[8])
    backfill("plan", config, "--rest-of", "pristo.job", cwd=tmp_path, expect=[0])
    rest = ["run", config, "--job", "pristo-rest.job", *run]
    refused = backfill(*rest, "https://api.example.com", cwd=tmp_path, expect=[10])
    assert "rest of pristo.job" in refused.err
    assert "a rehearsal" in refused.err
    backfill(*rest, server.url, cwd=tmp_path, expect=[0])


def test_what_is_unknown_stays_with_its_job_until_it_is_settled(tmp_path):
    config = pristo_job(tmp_path, 30)
    with running_sandbox(faults=lambda _: "cut-after") as server:
        run = ["--json", "--base-url", server.url]
        cut = backfill("run", config, *run, "--limit", "6", cwd=tmp_path, expect=[5, 7, 8]).json
    unknown = cut["records"]["unknown"]
    assert unknown
    rename_type(config)
    planned = backfill(
        "plan", config, "--rest-of", "pristo.job", "--json", cwd=tmp_path, expect=[0]
    ).json
    assert planned["records"]["duplicate"] == unknown
    assert any("unknown in pristo.job" in each for each in planned["plan"]["warnings"])
    rest = package.open_job(tmp_path / "pristo-rest.job")
    assert set(rest.duplicates["_kept_state"]) == {"unknown"}
    assert all("unknown, and left to" in each for each in rest.records("duplicate")["_reason"])
    # A later rest takes up what was settled meanwhile as not delivered.
    refused = backfill("resolve", "pristo.job", "--resend", cwd=tmp_path, expect=[2])
    assert "abandoned" in refused.err
    with running_sandbox() as server:
        run = ["--json", "--base-url", server.url]
        to = ["run", config, "--job", "pristo-rest.job", *run]
        backfill(*to, "--limit", "4", cwd=tmp_path, expect=[8])
        backfill("resolve", "pristo.job", "--failed", cwd=tmp_path, expect=[0])
        chain = ["plan", config, "--rest-of", "pristo-rest.job", "--job", "last.job", "--json"]
        last = backfill(*chain, cwd=tmp_path, expect=[0]).json
        assert last["records"]["duplicate"] == 4
        backfill("run", config, "--job", "last.job", *run, cwd=tmp_path, expect=[0])
        assert sorted(orders(server)) == sorted(f"order-{number}" for number in range(30))


def test_a_notebook_abandons_and_plans_the_rest_with_the_same_words(tmp_path, server):
    config = pristo_job(tmp_path, 10)
    given = {"credential": Secret("key"), "base_url": server.url}
    job = package.plan(config)
    job.run(limit=4, **given)
    rename_type(config)
    with pytest.raises(ChangedError, match="configuration changed") as raised:
        package.open_job(config).run(**given)
    assert "--rest-of" in str(raised.value)
    rest = package.plan(config, rest_of=job.directory)
    assert rest.status()["records"]["pending"] == 6
    assert job.status()["phase"] == "abandoned"
    with pytest.raises(JobError, match="abandoned"):
        job.run(**given)
    with pytest.raises(JobError, match="abandoned"):
        job.retry()
    assert rest.run(**given).exit_code == 0
    assert rest.abandon()["phase"] == "abandoned"


def test_the_rest_of_frames_is_told_as_well(tmp_path, server):
    frame = pl.DataFrame({"phone": ["+12025550101", "+12025550102"], "kind": ["a", "b"]})
    fields: dict[str, Any] = {
        "target.value": "phone",
        "label": "kind",
        "confidence": {"value": "low"},
    }
    run = {"credential": Secret("key"), "base_url": server.url}
    plan = partial(package.plan, destination="watch-events", events=frame, fields=fields)
    job = plan(job=tmp_path / "a.job")
    job.run(limit=1, **run)
    fields["confidence"] = {"value": "neutral"}
    rest = plan(job=tmp_path / "b.job", rest_of=tmp_path / "a.job")
    assert rest.run(**run).exit_code == 0
    assert len({each.record["target"]["value"] for each in server.accepted}) == 2
    assert len(server.accepted) == 2


def test_after_a_wrong_population_all_of_it_goes_as_a_job_of_its_own(tmp_path, server):
    config = pristo_job(tmp_path, 12)
    run = ["--json", "--base-url", server.url]
    backfill("run", config.name, *run, "--limit", "4", cwd=tmp_path, expect=[8])
    text, wrong = config.read_text(), "00000000-0000-4000-8000-000000000000"
    config.write_text(text.replace(wrong, "11111111-1111-4111-8111-111111111111"))
    (tmp_path / "wrong.csv").touch()
    hint = backfill("run", config.name, *run, cwd=tmp_path, expect=[10]).json["error"]["hint"]
    assert "--rest-of" not in hint
    plan, give_up, tell = (line.partition("backfill ")[2].split() for line in hint.splitlines())
    planned = backfill(*plan, "--json", cwd=tmp_path, expect=[0]).json
    assert planned["records"]["pending"] == 12
    backfill(*give_up, cwd=tmp_path, expect=[0])
    backfill(*tell, cwd=tmp_path, expect=[0])
    assert tell[-1] != "wrong.csv"
    assert pl.read_csv(tmp_path / tell[-1]).height == 4
    with pytest.raises(ChangedError, match="Another population has none"):
        package.plan(config)


def test_a_rest_that_cannot_be_leaves_the_job_as_it_is(tmp_path, server):
    config = pristo_job(tmp_path, 10)
    backfill("run", config, "--base-url", server.url, "--limit", "4", cwd=tmp_path, expect=[8])
    frame = pl.read_parquet(tmp_path / "events.parquet")
    frame.head(9).write_parquet(tmp_path / "events.parquet")
    plan = ["plan", config, "--job", "b.job", "--rest-of"]
    refused = backfill(*plan, "pristo.job", cwd=tmp_path, expect=[10])
    assert "events.parquet is not the file that it was" in refused.err
    backfill(*plan, "nowhere.job", cwd=tmp_path, expect=[2])
    itself = ["plan", config, "--job", "pristo.job", "--rest-of", "pristo.job"]
    backfill(*itself, cwd=tmp_path, expect=[2])
    found = backfill("status", "pristo.job", "--json", cwd=tmp_path).json
    assert found["phase"] == "stopped"


# --- what earlier jobs delivered --------------------------------------------------------------


def test_a_plan_is_bound_to_what_the_named_job_has_delivered(tmp_path, server):
    march = pristo_job(tmp_path, 30)
    later = after(march, "later", "pristo.job")
    run = ["--json", "--base-url", server.url]
    backfill("plan", march, cwd=tmp_path, expect=[0])
    assert backfill("plan", later, "--json", cwd=tmp_path).json["records"]["duplicate"] == 0
    backfill("run", march, *run, "--limit", "12", cwd=tmp_path, expect=[8])
    looked = backfill("run", "later.job", *run, cwd=tmp_path, expect=[10])
    assert "pristo.job has delivered 12 records, not 0" in looked.err
    ended = backfill("run", later, *run, "--limit", "3", cwd=tmp_path, expect=[8]).json
    assert ended["records"]["duplicate"] == 12
    backfill("run", march, *run, "--limit", "5", cwd=tmp_path, expect=[8])
    for command in (["run", later, *run], ["plan", later]):
        refused = backfill(*command, cwd=tmp_path, expect=[10])
        assert "pristo.job has delivered 17 records, not 12" in refused.err
        assert "--rest-of" in refused.err
    backfill("abandon", march, cwd=tmp_path, expect=[0])
    rest = backfill("plan", later, "--rest-of", later, "--json", cwd=tmp_path, expect=[0]).json
    backfill(*rest["next"].split()[1:], cwd=tmp_path, expect=[0])
    counted = Counter(orders(server))
    assert len(counted) == 30
    # What pristo.job sent while later.job was bound to an older state may overlap with it alone.
    assert sum(counted.values()) - 30 <= 3


def test_nothing_is_sent_while_a_named_job_is_being_delivered(tmp_path, server):
    """Two runs side by side sent the records of both jobs twice, unless the first had one out."""
    config = pristo_job(tmp_path, 10, delivery=f'base_url = "{server.url}"')
    march = package.plan(config)
    april = package.plan(after(config, "april", "pristo.job"))
    with working_on(march.directory, "run"):
        with pytest.raises(BusyError, match=r"pristo\.job is being delivered") as caught:
            april.run(credential=KEY)
        assert caught.value.exit_code == 11
        assert str(caught.value.hint).endswith(f"backfill status {march.directory}")
    assert orders(server) == []
    with working_on(march.directory, "retry"):
        april.run(credential=KEY)
    assert len(set(orders(server))) == len(orders(server)) == 10
    with working_on(march.directory, "run"):  # there is nothing more to be sent
        assert april.run(credential=KEY).exit_code == 0


def test_a_plan_waits_for_a_named_job_of_which_requests_are_out(tmp_path, server):
    """It advised to settle them, which is refused while that job runs."""
    config = pristo_job(tmp_path, 10, delivery=f'base_url = "{server.url}"')
    march = package.plan(config)
    april = after(config, "april", "pristo.job")
    with working_on(march.directory, "run") as ledger:
        out = Batch(0, next(iter(march.manifest.lanes())).number, ((0, 1),))
        ledger.commit([], [out])
        with pytest.raises(BusyError, match=r"some of its records are out at this moment"):
            package.plan(april)
    with pytest.raises(ConfigError, match="1 of its records are unknown"):
        package.plan(april)


def test_what_a_named_job_sent_since_the_plan_began_is_looked_at_before_the_first_record(
    tmp_path, server
):
    """A plan may take long, and the run that follows it did not look again."""
    config = pristo_job(tmp_path, 10, delivery=f'base_url = "{server.url}"')
    package.plan(config)
    april = find_or_plan(after(config, "april", "pristo.job"))
    package.open_job(tmp_path / "pristo.job").run(credential=KEY, limit=4)
    with pytest.raises(ChangedError, match="has delivered 4 records, not 0"):
        april.run(credential=KEY)
    assert len(orders(server)) == 4


def test_an_abandoned_job_says_so_whatever_earlier_ones_have_sent_meanwhile(tmp_path, server):
    key = Secret("key")
    march = pristo_job(tmp_path, 30, delivery=f'base_url = "{server.url}"')
    earlier = package.plan(march)
    earlier.run(limit=5, credential=key)
    given_up = package.plan(after(march, "later", "pristo.job"))
    given_up.run(limit=5, credential=key)
    given_up.abandon()
    earlier.run(limit=5, credential=key)
    with pytest.raises(JobError, match="the job was abandoned"):
        package.plan(tmp_path / "later.toml").run(credential=key)


def test_what_went_to_another_address_does_not_count_and_is_said(tmp_path, server):
    config = pristo_job(tmp_path, 20)
    run = ["--json", "--base-url", server.url]
    backfill("run", config, *run, "--limit", "8", cwd=tmp_path, expect=[8])
    later = after(config, "later", "pristo.job")
    planned = backfill("plan", later, "--json", cwd=tmp_path, expect=[0]).json
    assert planned["records"]["duplicate"] == 0
    note = next(each for each in planned["plan"]["warnings"] if "do not count" in each)
    assert note.startswith("8 records that pristo.job delivered to http://127.0.0.1")
    assert "https://api.pristo.io" in note
    # A run to that address plans for it.
    ended = backfill("run", later, *run, cwd=tmp_path, expect=[0]).json
    assert ended["records"]["duplicate"] == 8
    assert sorted(orders(server)) == sorted(f"order-{number}" for number in range(20))


def test_a_plan_for_the_real_address_is_not_rehearsed_where_an_earlier_job_was(tmp_path, server):
    """It leaves out nothing of what that one delivered here, and would send it a second time."""
    config = pristo_job(tmp_path, 20)
    package.plan(config).run(credential=Secret("key"), base_url=server.url, limit=8)
    later = package.plan(after(config, "later", "pristo.job"))
    assert later.status()["records"]["duplicate"] == 0
    last = package.plan(after(config, "last", "later.job"))
    for job in (later, last):
        with pytest.raises(ChangedError, match="does not leave out what earlier jobs delivered"):
            job.run(credential=Secret("key"), base_url=server.url)
        ended = backfill("run", job.directory, "--base-url", server.url, cwd=tmp_path, expect=[10])
        assert "plans it anew" in ended.err
    assert len(orders(server)) == 8
    backfill("run", tmp_path / "later.toml", "--base-url", server.url, cwd=tmp_path, expect=[0])
    assert sorted(orders(server)) == sorted(f"order-{number}" for number in range(20))


def test_a_plan_for_one_address_is_not_sent_to_another(tmp_path):
    config = pristo_job(tmp_path, 6)
    job = package.plan(config)
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        ledger.bind_address("https://one.example.com")
    later = after(config, "later", "pristo.job")
    planned = package.plan(later)
    with pytest.raises(ChangedError, match="never seen"):
        planned.run(credential=Secret("key"), base_url="https://two.example.com")


def test_unknown_records_of_a_named_job_refuse_also_a_plan_that_was_made(tmp_path):
    config = pristo_job(tmp_path, 20)
    second = after(config, "second", "pristo.job")
    third = after(config, "third", "second.job")
    with running_sandbox() as server:
        run = ["--json", "--base-url", server.url]
        backfill("run", config, *run, "--limit", "5", cwd=tmp_path, expect=[8])
        backfill("run", second, *run, "--limit", "5", cwd=tmp_path, expect=[8])
        backfill("plan", third, cwd=tmp_path, expect=[0])
    with running_sandbox(faults=lambda _: "cut-after") as server:
        run = ["--json", "--base-url", server.url]
        backfill("run", second, *run, "--limit", "2", cwd=tmp_path, expect=[5, 7, 8])
        for command in (["plan", third], ["run", third, *run]):
            refused = backfill(*command, cwd=tmp_path, expect=[2])
            assert "unknown" in refused.err
            assert "backfill resolve" in refused.err


def test_globs_name_jobs_and_one_that_matches_nothing_is_refused(tmp_path, server):
    run = ["--json", "--base-url", server.url]
    config = pristo_job(tmp_path, 30)
    text = config.read_text()
    frame = pl.read_parquet(tmp_path / "events.parquet")
    for month, rows in (("2023-01", frame[:10]), ("2023-02", frame[5:20]), ("2023-03", frame)):
        rows.write_parquet(tmp_path / f"{month}.parquet")
        later = tmp_path / f"{month}.toml"
        named = text.replace("events.parquet", f"{month}.parquet")
        dedupe = '[dedupe]\ndelivered_by = "2023-*.job"\n[delivery]'
        later.write_text(named.replace("[delivery]", dedupe))
        backfill("run", later, *run, cwd=tmp_path, expect=[0])
    assert sorted(orders(server)) == sorted(f"order-{number}" for number in range(30))
    nowhere = "delivered_by nowhere.job: there is no job here"
    for name, words in (("2024-*.job", "no job matches"), ("nowhere.job", nowhere)):
        ended = backfill("plan", after(config, "x", name), cwd=tmp_path, expect=[2])
        assert words in ended.err
    again = backfill("run", tmp_path / "2023-01.toml", *run, cwd=tmp_path).json
    assert again["records"]["pending"] == 0


@pytest.mark.parametrize("rest", [False, True], ids=["delivered_by", "rest-of"])
def test_a_plan_after_a_real_job_goes_to_no_other_real_address(tmp_path, server, rest):
    """Records that one address has were left out, so no other address may get what is left."""
    real, other = "https://api.example.com", "https://other.example.com"
    config = pristo_job(tmp_path, 12)
    package.plan(config).run(credential=Secret("key"), base_url=server.url, limit=4)
    with Ledger.open(tmp_path / "pristo.job" / "ledger.sqlite") as ledger:
        for name in ("address", "base_url"):  # as if it had gone there
            assert ledger.get_meta(name) == server.url
            ledger.set_meta(name, real)
    config.write_text(config.read_text().replace("[delivery]", f'[delivery]\nbase_url = "{real}"'))
    if rest:
        job = package.plan(config, rest_of=tmp_path / "pristo.job")
    else:
        job = package.plan(after(config, "later", "pristo.job"))
    assert job.status()["records"]["duplicate"] == 4
    ended = backfill("run", job.directory, "--base-url", other, cwd=tmp_path, expect=[10])
    assert f"{other} has never seen that" in ended.err
    assert real in ended.err
    with pytest.raises(ChangedError, match="has never seen that"):
        job.run(credential=Secret("key"), base_url=other)
    assert job.status()["requests"]["sent"] == 0
    assert job.status()["address"] is None


def _reverse(path: Path) -> None:
    pl.read_parquet(path).reverse().write_parquet(path)


def _flip_a_bit(path: Path) -> None:
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("damage", [_reverse, _flip_a_bit, Path.unlink])
@pytest.mark.parametrize("how", ["delivered_by", "rest_of"])
def test_no_plan_goes_by_a_damaged_job(tmp_path, server, how, damage):
    """What it delivered would be told by the wrong records, and sent again."""
    config = pristo_job(tmp_path, 30)
    package.plan(config).run(credential=Secret("key"), base_url=server.url, limit=10)
    damage(next((tmp_path / "pristo.job" / "ready").glob("*.parquet")))
    given = {"rest_of": tmp_path / "pristo.job"} if how == "rest_of" else {}
    later = config if how == "rest_of" else after(config, "later", "pristo.job")
    with pytest.raises(JobError, match="DO NOT BALANCE") as raised:
        package.plan(later, job=tmp_path / "b.job", **given)
    assert raised.value.where is not None
    assert raised.value.where.endswith("pristo.job")
    assert not (tmp_path / "b.job" / "manifest.json").exists()
