"""Faults are read from words, drawn from a seed, and refused where they make no sense."""

from __future__ import annotations

from collections import Counter

import pytest

from backfill.core.errors import ConfigError
from backfill.sandbox.fault_injection import (
    KINDS,
    Arrival,
    Fault,
    parse_fault,
    parse_faults,
    scripted,
)

ARRIVAL = Arrival(0, "pristo-events", (), b"")


def test_a_fault_is_a_kind_with_an_optional_number_and_a_share():
    assert parse_faults(["429=1%", "500-after=0.02", "slow:0.5=.1", "429:2 = 0%"]) == (
        (Fault("429"), 0.01),
        (Fault("500-after"), 0.02),
        (Fault("slow", 0.5), 0.1),
        (Fault("429", 2.0), 0.0),
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("NNN")])
def test_every_listed_kind_is_known(kind: str):
    assert parse_fault(kind).kind == kind


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("cut-afer=1%", "'cut-after'"),
        ("slwo=1%", "'slow'"),
        ("500-afterr=1%", "'500-after'"),
        ("NNN=1%", "no fault of kind 'NNN'"),
        ("200=1%", "no fault of kind '200'"),
        ("zzzzzz=1%", "half-reply"),
        ("slow:x=1%", "not a number"),
        ("slow:-1=1%", "not a number"),
        ("slow:inf=1%", "not a number"),
        ("slow", "KIND=SHARE"),
        ("slow=", "KIND=SHARE"),
        ("slow=101%", "from 0 to 1"),
        ("slow=2", "from 0 to 1"),
        ("slow=-1%", "from 0 to 1"),
    ],
)
def test_what_is_no_fault_is_refused_with_a_hint(spec: str, words: str):
    with pytest.raises(ConfigError) as caught:
        parse_faults([spec])
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_shares_beyond_all_requests_are_refused():
    assert parse_faults(["429=40%", "500=60%"])
    with pytest.raises(ConfigError, match="exceed 100%"):
        parse_faults(["429=40%", "500=61%"])


def test_the_same_seed_draws_the_same_faults_and_another_does_not():
    shares = parse_faults(["429=20%", "slow=20%"])
    drawn = [
        [script(ARRIVAL) for _ in range(200)]
        for script in (scripted(shares, 1), scripted(shares, 1), scripted(shares, 2))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_faults_come_as_often_as_their_shares_say():
    script = scripted(parse_faults(["429=5%", "cut-after=20%"]), 3)
    counts = Counter(str(script(ARRIVAL)) for _ in range(20_000))
    assert abs(counts[str(Fault("429"))] - 1000) < 150
    assert abs(counts[str(Fault("cut-after"))] - 4000) < 300


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("500", False),
        ("503-after", True),
        ("cut-before", False),
        ("cut-after", True),
        ("half-reply", True),
        ("wrong-length", True),
        ("hang", False),
        ("hang-after", True),
        ("html", False),
        ("html-after", True),
        ("not-ok", False),
        ("bad-item", False),
    ],
)
def test_a_fault_knows_whether_the_records_are_stored_before_it(kind: str, stored: bool):
    assert parse_fault(kind).stored is stored
