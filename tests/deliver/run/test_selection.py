"""Which records a canary sends: by a field's value, and never past an earlier record of a key."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.errors import ConfigError
from backfill.core.model import State, StopKind
from backfill.deliver.run import selection
from backfill.deliver.run.selection import Selection
from backfill.destinations import destination
from backfill.jobdir.storage_wait import StorageWait
from tests.deliver.fakes import Store
from tests.deliver.jobs import key_of, make_job

DELIVERED = State.DELIVERED


def sent_keys(store: Store) -> set[str]:
    return {key_of(item) for request in store.requests for item in request.items}


def test_one_contact_goes_first_and_the_rest_later(job, run):
    each = job(lanes=[[30, 30], [30]], keys=3)
    key = json.loads(each.bodies()[4])["contact"]["id"]
    store = Store()
    stop = run(each, store, only={"contact.id": (key.upper(),)})
    assert stop is not None
    assert stop.kind is StopKind.LIMIT
    assert stop.message == f"only records with contact.id = {key.upper()} were to be sent"
    assert (len(store.stored), sent_keys(store)) == (10, {key})
    assert run(each, store) is None
    assert sorted(store.stored) == each.numbers(DELIVERED) == list(range(90))


def test_a_record_waits_for_the_earlier_ones_of_its_key(job, run):
    each = job(lanes=[[6]], keys=2)  # keys take turns: 0, 2, 4 and 1, 3, 5
    store = Store()
    stop = run(each, store, only={"customFields.number": ("0", "3", "4")})
    assert store.stored == [0]
    assert stop is not None
    assert "2 of them wait for earlier records" in stop.message
    run(each, store, only={"customFields.number": ("1", "2")})
    assert sorted(store.stored) == [0, 1, 2]
    run(each, store, only={"customFields.number": ("0", "3", "4")})
    assert sorted(store.stored) == [0, 1, 2, 3, 4]


def test_several_fields_must_all_fit(job, run):
    each = job("watch-events", [[4]], keys=1)
    store = Store()
    with pytest.raises(ConfigError, match="no record has label = 0 or 1 and confidence = low"):
        run(each, store, only={"label": ("0", "1"), "confidence": ("low",)})
    assert store.stored == []
    run(each, store, only={"label": ("0", "1"), "confidence": ("neutral",)})
    assert sorted(store.stored) == [0, 1]


def test_a_value_that_nothing_has_is_said(job, run):
    with pytest.raises(ConfigError, match="no record has type = no-such"):
        run(job(), Store(), only={"type": ("no-such",)})


def test_values_that_no_one_record_has_together_are_said(job, run):
    each = job("watch-events", [[4]], keys=1)
    with pytest.raises(ConfigError) as raised:
        run(each, Store(), only={"label": ("0",), "target.value": ("1",)})
    assert raised.value.hint


def test_the_value_that_no_record_has_is_the_one_to_help_with(job, run, monkeypatch):
    each = job("watch-events", [[40]], keys=1)
    monkeypatch.setattr(selection, "_COMPARED", 5)  # so most labels are not looked at so closely
    with pytest.raises(ConfigError) as raised:
        run(each, Store(), only={"label": ("37", "38"), "target.value": ("+1 202 555 0001",)})
    assert raised.value.hint == "Did you mean '+12025550000000'?"


def test_a_value_whose_records_are_delivered_already_is_no_mistake(job, run):
    each = job("watch-events", [[4]], keys=1)
    store = Store()
    run(each, store, only={"label": ("0",)})
    stop = run(each, store, only={"label": ("0",)})
    assert stop is not None
    assert stop.message == "no pending record has label = 0"


@settings(max_examples=25, deadline=None)
@given(
    lanes=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    keys=st.integers(1, 4),
    data=st.data(),
)
def test_what_is_chosen_leaves_every_key_in_order(lanes, keys, data):
    with tempfile.TemporaryDirectory() as place:
        manifest = make_job(Path(place), lanes=[lanes], keys=keys)
        total = sum(lanes)
        wanted = data.draw(st.sets(st.integers(0, total - 1), min_size=1))
        settled = data.draw(st.sets(st.integers(0, total - 1)))
        pending = [
            (lane, [(at, at + 1) for at in range(lane.start, lane.stop) if at not in settled])
            for lane in manifest.lanes()
        ]
        selection = Selection(
            {"customFields.number": [str(number) for number in wanted]},
            directory=Path(place),
            manifest=manifest,
            destination=destination("pristo-events"),
            storage=StorageWait(place),
        )
        offered = [each for each in pending if each[1]]
        chosen = {
            at
            for _, ranges in (selection.choose(0, offered) if offered else [])
            for start, stop in ranges
            for at in range(start, stop)
        }
    by_key = defaultdict(list)
    for lane in manifest.lanes():
        for at in range(lane.start, lane.stop):
            if at not in settled:
                by_key[lane.number, (at - lane.start) % keys].append(at)
    expected = set()
    for positions in by_key.values():
        for at in positions:
            if at not in wanted:
                break
            expected.add(at)
    assert chosen == expected
    assert selection.chosen == len(expected)
    assert selection.waiting == len(wanted - settled - expected)
