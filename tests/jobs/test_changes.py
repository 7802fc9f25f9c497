"""What to do about a change, by what changed."""

from __future__ import annotations

import polars as pl
import pytest

from backfill.api import open_job, plan
from backfill.core.errors import ChangedError
from backfill.jobdir import store_addresses
from backfill.jobdir.manifest import Manifest
from backfill.jobs.changes import refuse
from backfill.sandbox import running_sandbox

POPULATIONS = [f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2)]
EVENTS = pl.DataFrame(
    {
        "id": [f"6f9619ff-8b86-4d01-b42d-00cf4fc9640{n}" for n in range(3)],
        "email": [f"person{n}@example.com" for n in range(3)],
        "at": ["2024-03-01T10:00:00Z"] * 3,
    }
)


@pytest.fixture
def partly_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("PRISTO_API_KEY", "invented")

    def planned(population=POPULATIONS[0], events=EVENTS):
        return plan(
            destination="pristo-events",
            population=population,
            events=events,
            time="at",
            fields={"contact.id": "id", "contact.email": "email", "type": {"value": "a"}},
            job=tmp_path / "a.job",
        )

    with running_sandbox() as server:
        planned().run(base_url=server.url, limit=1)
    return planned


def test_another_population_needs_all_records_as_a_job_of_their_own(partly_sent):
    with pytest.raises(ChangedError) as raised:
        partly_sent(POPULATIONS[1])
    hint = raised.value.hint or ""
    assert "Another population has none of the records" in hint
    assert "abandon" in hint
    assert "rest_of" not in hint


def test_a_frame_that_changed_is_called_one_and_can_be_told_by_delivered_by(partly_sent, tmp_path):
    with pytest.raises(ChangedError, match="the frame of events changed") as raised:
        partly_sent(events=EVENTS.head(2))
    assert f'"delivered_by": "{tmp_path / "a.job"}"' in (raised.value.hint or "")
    assert open_job(tmp_path / "a.job").status().books.delivered == 1


def test_a_job_in_an_object_store_goes_by_its_address(partly_sent, tmp_path, monkeypatch):
    directory = tmp_path / "a.job"
    manifest = Manifest.read(directory)
    changed = "the frame of events changed"
    with monkeypatch.context() as patch:
        patch.setattr(store_addresses, "_root", lambda: tmp_path.parent)
        with pytest.raises(ChangedError, match=changed) as raised:
            refuse(directory, manifest, None, changed)
    assert raised.value.where == f"{tmp_path.name}://a.job"
    assert str(tmp_path) not in str(raised.value)
