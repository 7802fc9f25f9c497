"""The log notices what a client must not do."""

from __future__ import annotations

import json

from backfill.sandbox.accepted_log import AcceptedLog
from tests.sandbox.requests import pristo

NAMES = ["pristo-events", "watch-events"]


def test_two_requests_of_one_key_in_flight_at_once_are_an_overlap():
    accepted_log = AcceptedLog(NAMES, None, keep=True)
    with accepted_log.in_flight("pristo-events", frozenset("ab")):
        with accepted_log.in_flight("pristo-events", frozenset("c")):
            pass
        with accepted_log.in_flight("watch-events", frozenset("a")):
            pass
        assert accepted_log.counts["pristo-events"].overlaps == 0
        with accepted_log.in_flight("pristo-events", frozenset("bc")):
            pass
        assert accepted_log.counts["pristo-events"].overlaps == 1
        with accepted_log.in_flight("pristo-events", frozenset("b")):
            pass
    with accepted_log.in_flight("pristo-events", frozenset("ab")):
        pass
    assert accepted_log.counts["pristo-events"].overlaps == 2


def test_a_key_is_free_again_only_after_all_of_its_requests():
    accepted_log = AcceptedLog(NAMES, None, keep=True)
    with accepted_log.in_flight("pristo-events", frozenset("a")):
        with accepted_log.in_flight("pristo-events", frozenset("a")):
            pass
        with accepted_log.in_flight("pristo-events", frozenset("a")):
            pass
    assert accepted_log.counts["pristo-events"].overlaps == 2


def _store(accepted_log: AcceptedLog, contact: str, *times: str | None) -> None:
    for time in times:
        accepted_log.store(
            "pristo-events", "r", [(contact, time or "", pristo(occurredAt=time))], None
        )


def test_a_record_older_than_one_before_it_of_the_same_contact_is_disorder():
    accepted_log = AcceptedLog(NAMES, None, keep=False)
    _store(accepted_log, "a", "2024-01-02T00:00:00Z", "2024-01-02T00:00:00Z", None)
    _store(accepted_log, "b", "2024-01-01T00:00:00Z")
    _store(accepted_log, "a", "2024-01-02T01:30:00+01:00")  # the same instants, other zones
    assert accepted_log.counts["pristo-events"].disorder == 0
    _store(accepted_log, "a", "2024-01-02T00:29:59.999Z")
    _store(accepted_log, "a", "2024-01-02T00:30:00Z")
    assert accepted_log.counts["pristo-events"].disorder == 1


def test_a_leap_second_is_no_fault_of_the_witness():
    accepted_log = AcceptedLog(NAMES, None, keep=False)
    _store(accepted_log, "a", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z")
    assert accepted_log.counts["pristo-events"].disorder == 0


def test_the_log_has_one_line_for_each_record_and_is_added_to(tmp_path):
    path = tmp_path / "accepted.ndjson"
    record = pristo(contact__name='a "quoted"\nname\u2028😀')
    for fault in (None, "cut-after"):
        accepted_log = AcceptedLog(NAMES, path, keep=False)
        accepted_log.store("watch-events", "r-1", [("k1", None, record), ("k2", None, {})], fault)
        lines = path.read_bytes().split(b"\n")  # readable before the log is closed
        accepted_log.close()
    first, second, third, _, rest = lines
    assert rest == b""
    assert json.loads(first)["record"] == record
    content = json.loads(second)
    assert content.pop("at") > 1_700_000_000
    assert content == {
        "destination": "watch-events",
        "key": "k2",
        "request": "r-1",
        "index": 1,
        "record": {},
    }
    assert json.loads(third)["fault"] == "cut-after"


def test_records_are_held_in_memory_only_where_told_to():
    for keep in (True, False):
        accepted_log = AcceptedLog(NAMES, None, keep=keep)
        _store(accepted_log, "a", "2024-01-02T00:00:00Z")
        assert len(accepted_log.accepted) == keep
        assert accepted_log.counts["pristo-events"].accepted == 1
