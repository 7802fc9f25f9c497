"""Plans of random jobs are what the documentation says, row by row.

The long comparison is `python -m tests.reference --seeds 2000`. Seeds are fixed, so that a failure
is seen again by its number.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from tests.reference import comparison
from tests.reference.__main__ import findings
from tests.reference.cells import Chance
from tests.reference.chains import Chain, Link, expected_of_all
from tests.reference.comparison import NOW, differences
from tests.reference.configurations import random_chain, random_job
from tests.reference.jobs import File, Job
from tests.reference.reference import Outcome, expected


@pytest.mark.parametrize("first", range(10_000, 10_006, 3))
def test_a_plan_is_what_the_documentation_says(first):
    assert {seed: found for seed in range(first, first + 3) if (found := findings(seed))} == {}


@pytest.mark.parametrize("what", ["delivered_by", "rest_of"])
def test_the_comparison_sees_what_an_earlier_job_has_delivered(monkeypatch, what):
    chains = (random_chain(seed) for seed in range(100))
    of_kind = (each for each in chains if getattr(each.links[-1], what) not in ((), None))
    chain = next(each for each in of_kind if _leaves_out(each))
    forgetful = [Link(each.job) for each in chain.links]
    documented = expected_of_all(replace(chain, links=tuple(forgetful)), NOW)
    monkeypatch.setattr(comparison, "expected_of_all", lambda *_: documented)
    assert any("duplicate" in each for each in comparison.differences_in_chain(chain, None))


def test_random_jobs_reach_every_state_and_most_rules():
    outcomes = [each for seed in range(120) for each in expected(random_job(seed), NOW).values()]
    assert {each.state for each in outcomes} == {"excluded", "rejected", "duplicate", "pending"}
    rules = {reason.partition("|")[2] for each in outcomes for reason in each.reasons}
    assert rules >= {
        *("malformed", "required", "unmapped", "nested", "uuid", "float", "several", "extension"),
        *("e164", "possible", "valid", "email", "choice", "max_length", "format", "timezone"),
        *("nonexistent", "future", "reachable", "phone_only", "agrees", "where", "until"),
    }


def test_random_chains_have_rows_that_earlier_jobs_have_in_every_way():
    found: Counter[str] = Counter()
    for seed in range(60):
        chain = random_chain(seed)
        for link, outcomes in zip(chain.links, expected_of_all(chain, NOW), strict=True):
            kind = "rest" if link.rest_of is not None else f"after {len(link.delivered_by)}"
            found[kind] += sum(each.by_earlier for each in outcomes.values())
            found["no record"] += sum(each.no_record for each in outcomes.values())
            found["another row"] += sum(
                each.by_earlier and each.kept != place for place, each in outcomes.items()
            )
    assert min(found[kind] for kind in ("rest", "after 1", "after 2", "no record")) > 3
    assert found["another row"]


def test_random_jobs_read_columns_from_directories():
    sections = [random_job(seed).config.get("events", {}) for seed in range(60)]
    assert sum(bool(each.get("hive")) for each in sections) > 2


def test_a_quoted_empty_cell_alone_in_a_line_is_a_row_and_a_blank_line_is_none():
    job = _small_job()
    lines = job.events[0].content.decode().splitlines()
    content = "\n".join([*lines[:2], '""', "", *lines[2:]]).encode()
    changed = replace(job, events=[replace(job.events[0], content=content)])
    assert len(expected(changed, NOW)) == len(expected(job, NOW)) + 1
    assert differences(changed, None) == []


def _spoiled(outcome: Outcome, what: str) -> Outcome:
    if what == "state":
        return replace(outcome, state="rejected")
    if what == "body":
        return replace(outcome, body={**(outcome.body or {}), "type": "another"})
    return replace(outcome, kept=("events.csv", 99))


@pytest.mark.parametrize("what", ["state", "body", "kept"])
@pytest.mark.parametrize("parts", [None, 1, 7])
def test_the_comparison_sees_a_row_that_differs(monkeypatch, what, parts):
    job = _small_job()
    assert differences(job, parts) == []
    outcomes = expected(job, NOW)
    place = next(p for p, o in outcomes.items() if (o.kept is not None) == (what == "kept"))
    spoiled = {**outcomes, place: _spoiled(outcomes[place], what)}
    monkeypatch.setattr(comparison, "expected", lambda *_: spoiled)
    [found] = differences(job, parts)
    assert found.startswith(str(place))


def test_the_comparison_sees_an_order_that_differs(monkeypatch):
    job = _small_job()
    monkeypatch.setattr(comparison, "order_of", lambda job, outcome: (outcome.values["label"],))
    [found] = differences(job, 1)
    assert "sent in the order" in found


def test_a_seed_makes_the_same_job_again():
    one, other = random_job(7), random_job(7)
    assert json.dumps(one.config) == json.dumps(other.config)
    assert [each.content for each in one.events] == [each.content for each in other.events]
    assert Chance(7).random() == Chance(7).random()


def _leaves_out(chain: Chain) -> bool:
    return any(each.by_earlier for each in expected_of_all(chain, NOW)[-1].values())


def _small_job() -> Job:
    lines = ["phone,label,at"]
    lines += ["+12025550143,b,2024-03-01T09:15:00Z", "+12025550143,a,2024-03-02T09:15:00Z"]
    lines += ["+12025550143,b,2024-03-01T09:15:00Z", "+447700900101,c,"]
    config = {
        "destination": "watch-events",
        "events": {"files": "events.csv", "time": "at"},
        "fields": {
            "target.value": "phone",
            "label": "label",
            "confidence": {"value": "high"},
        },
    }
    return Job(0, config, [File("events.csv", "\n".join(lines).encode())], [], {})
