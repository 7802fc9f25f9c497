"""The section [cluster]: where several machines find one job, and no password in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfill.config import Cluster, Config, config_from_mapping
from backfill.core.errors import ConfigError

GIVEN = {"storage": "/mnt/shared/jobs", "ledger": "postgresql://db.example.com/backfill"}


def loaded(cluster: Any) -> Config:
    content: dict[str, Any] = {
        "destination": "watch-events",
        "events": {"files": "e.csv"},
        "fields": {"label": "l"},
    }
    if cluster is not None:
        content["cluster"] = cluster
    return config_from_mapping(content, directory=Path())


def cluster_of(given: Any) -> Cluster:
    found = loaded(given).cluster
    assert found is not None
    return found


def test_without_the_section_a_job_is_of_one_machine():
    assert loaded(None).cluster is None


def test_what_it_says_is_read_and_shapes_no_body():
    config = loaded({**GIVEN, "lease": "1m"})
    found = cluster_of({**GIVEN, "lease": "1m"})
    assert (found.storage, found.lease) == ("/mnt/shared/jobs", 60.0)
    assert cluster_of(GIVEN).lease == 10.0
    assert config.shape() == loaded(None).shape()
    assert cluster_of({**GIVEN, "storage": "s3://bucket/jobs/"}).storage == "s3://bucket/jobs"


@pytest.mark.parametrize(
    "ledger",
    [
        "postgresql://someone@db.example.com:5433/backfill?sslmode=verify-full",
        "postgres://one.example.com,two.example.com/backfill?target_session_attrs=read-write",
        "postgresql:///backfill?host=/run/postgresql",
        "postgresql://[::1]:5432/backfill",
        "postgresql://db.example.com/?dbname=backfill",
    ],
)
def test_an_address_is_whatever_libpq_takes(ledger):
    assert cluster_of({**GIVEN, "ledger": ledger}).ledger == ledger


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"storage": None}, "[cluster] storage: is missing"),
        ({"ledger": None}, "[cluster] ledger: is missing"),
        ({"storage": " "}, "storage: is empty; name a directory that all machines share"),
        ({"storage": "https://example.com/jobs"}, "storage: https:// is no storage; name a"),
        ({"storage": "s3://"}, 'storage: names no bucket; it looks like "s3://bucket/prefix"'),
        ({"storage": "s3://key:s3cret@bucket"}, "storage: holds an `@`"),
        ({"storage": 5}, "[cluster] storage: is a text in quotes, not the number 5"),
        ({"ledger": "mysql://host/db"}, "ledger: is the address of a PostgreSQL database, such"),
        ({"ledger": "dbname=backfill"}, "ledger: is the address of a PostgreSQL database, such"),
        ({"ledger": "postgresql://host"}, "ledger: names no database; it looks like"),
        ({"ledger": "postgresql://u:s3cret@host/db"}, "ledger: holds a password; take it out"),
        ({"ledger": "postgresql://u:s3/cret@host/db"}, "ledger: holds a password; take it out"),
        ({"ledger": "postgresql://h/db?password=s3cret"}, "set PGPASSWORD or PGPASSWORD_FILE"),
        ({"lease": "0.5s"}, "[cluster] lease: is at least 1, not the text '0.5s'"),
        ({"lease": "2h"}, "[cluster] lease: is at most 3600"),
        ({"lease": "soon"}, '[cluster] lease: a duration is written "30s"'),
        ({"leese": "10s"}, "[cluster] leese: unknown key. Did you mean 'lease'?"),
    ],
)
def test_a_wrong_value_is_told_in_words_that_hold_no_secret(changes, expected):
    given = {name: value for name, value in {**GIVEN, **changes}.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        loaded(given)
    assert expected in str(caught.value)
    assert "s3" not in str(caught.value) or "s3cret" not in str(caught.value)
