"""Who joins a run keeps to what its first one said, or is refused where it wants less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backfill.core.errors import BusyError, ChangedError
from backfill.deliver import Settings, join
from backfill.jobdir.pace_file import PaceSetting
from backfill.ledger.postgres import PostgresLedger
from tests.ledger.places import PostgresPlace

Two = tuple[PostgresLedger, PostgresLedger]


@pytest.fixture
def two(postgres) -> Iterator[Two]:
    place = PostgresPlace(postgres.address)
    with (
        PostgresLedger.open(place.address, place.schema, create=True) as one,
        PostgresLedger.open(place.address, place.schema) as other,
    ):
        yield one, other
    place.drop()


def settings(**what: Any) -> Settings:
    return Settings(base_url="http://127.0.0.1:1", **what)


@pytest.mark.parametrize("sends", [True, False])
@pytest.mark.parametrize(
    ("runs", "wants", "words"),
    [
        ({}, {"limit": 5}, "has no limit, and 5 records would not hold"),
        ({"limit": 1_000}, {"limit": 5}, "has a limit of 1,000 records, and 5 records"),
        ({"limit": 5}, {"limit": 1_000}, "has a limit of 5 records, and 1,000 records"),
        ({}, {"max_duration": 0.5}, "has no max_duration, and 0.5 s would not hold"),
    ],
)
def test_a_limit_that_a_run_would_not_keep_is_refused(two, runs, wants, words, sends) -> None:
    one, other = two
    assert join(one, settings(**runs)).first
    with pytest.raises(BusyError, match=words):
        join(other, settings(**wants), sends=sends)
    assert one.budget.leave(), "who was refused takes no part"
    assert join(other, settings(**wants), sends=sends).first


def test_the_same_limit_or_none_takes_part(two) -> None:
    one, other = two
    join(one, settings(limit=7, max_duration=60.0))
    for wants in ({}, {"limit": 7}, {"limit": 7, "max_duration": 60.0}):
        joined = join(other, settings(**wants))
        assert (joined.first, joined.terms.limit, joined.terms.seconds) == (False, 7, 60.0)
        assert not other.budget.leave()


def test_other_max_errors_are_told(two, caplog) -> None:
    one, other = two
    join(one, settings(max_errors_count=3))
    join(other, settings(max_errors_count=3))
    assert not caplog.messages
    join(other, settings(max_errors_fraction=0.5))
    assert caplog.messages == ["max_errors is that of the run that goes on"]


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        (PaceSetting(), 10.0),
        (PaceSetting(rate="1000/s", rate_said=1), 1000.0),
        (PaceSetting(rate="auto", rate_said=2), None),
        (PaceSetting(rate=None, rate_said=2), 70.0),
    ],
)
def test_what_was_said_since_the_run_began_holds_for_a_joiner_too(two, said, rate) -> None:
    """Or the run would fall back to its first rate where the joiner comes to lead it."""
    one, other = two
    join(one, settings(rate=10.0))
    own = settings(rate=70.0, pace=said)
    assert join(other, own).settings(own).rate == rate


def test_what_had_been_said_before_the_run_began_does_not_change_it(two) -> None:
    one, other = two
    said = PaceSetting(rate="1000/s", rate_said=1)
    join(one, settings(rate=10.0, pace=said))
    own = settings(rate=1000.0, pace=said)
    assert join(other, own).settings(own).rate == 10.0


@pytest.mark.parametrize("sends", [True, False])
def test_one_that_would_send_elsewhere_is_refused(two, sends) -> None:
    """Also where both are of this machine, and each a rehearsal: the books know one address."""
    one, other = two
    join(one, settings())
    elsewhere = Settings(base_url="http://127.0.0.1:2")
    with pytest.raises(ChangedError, match="a run goes on that sends to http:"):
        join(other, elsewhere, sends=sends)
    assert not join(other, Settings(base_url="http://127.0.0.1:1/")).first
