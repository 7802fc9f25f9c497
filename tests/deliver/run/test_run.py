"""A whole run against a destination in memory: what is sent, what is recorded, when it stops."""

from __future__ import annotations

import logging
import time
from email.utils import formatdate

import anyio
import httpx
import pytest
import trio.testing

from backfill.core.errors import ConfigError, DestinationError, JobError, LedgerError
from backfill.core.model import Fault, Flow, RequestCounts, State, Stop, StopKind, Verdict
from backfill.deliver import Snapshot, StopRequest
from backfill.deliver.http.errors import TransportFault
from backfill.destinations import destination
from backfill.jobdir.pace_file import PaceSetting
from backfill.ledger import Ledger
from backfill.ledger.facts import QUIET_ASKED_AT, QUIET_UNTIL
from tests.deliver.fakes import Store, accepted
from tests.deliver.jobs import POPULATION, number_of

DELIVERED, FAILED, UNKNOWN = State.DELIVERED, State.FAILED, State.UNKNOWN
APIS = ["pristo-events", "watch-events", "watch-feedbacks"]


def error(status: int, text: str = "No.", headers: dict[str, str] | None = None, **more: object):
    return httpx.Response(status, json={"message": text, **more}, headers=headers)


@pytest.mark.parametrize("name", APIS)
def test_everything_is_delivered_once_in_order(job, run, name):
    each = job(name, [[30, 250, 1], [120]], keys=7)
    store = Store()
    assert run(each, store) is None
    assert sorted(store.stored) == each.numbers(DELIVERED) == list(range(401))
    batches = 401 if name == "pristo-events" else 1 + 3 + 1 + 2
    assert len(store.requests) == batches
    with each.open() as ledger:
        assert ledger.requests() == RequestCounts(sent=batches)


def test_a_request_is_what_the_api_documents(job, run):
    each = job(lanes=[[1]])
    store = Store()
    run(each, store, base_url="http://127.0.0.1:1/prefix/")
    (request,) = store.requests
    assert request.url == f"http://127.0.0.1:1/prefix/v1/events/send/{POPULATION}"
    assert request.headers["x-api-key"] == "hunter2-credential"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == "127.0.0.1:1"
    assert len(request.headers["x-request-id"]) == 36


def test_lanes_go_side_by_side_as_far_as_concurrency_allows(job, run):
    each = job(lanes=[[40] * 12])
    store = Store(latency=0.002)
    assert run(each, store, concurrency=5) is None
    assert store.most_out == 5


def test_a_run_that_has_nothing_to_do_sends_nothing(job, run):
    each = job()
    run(each, Store())
    store = Store()
    assert run(each, store) is None
    assert not store.requests


def test_a_run_that_has_nothing_to_do_waits_for_nobody(job, run):
    each = job()
    run(each, Store())
    with each.open() as ledger:
        ledger.set_quiet_until(time.time() + 7 * 86_400)
    assert run(each, Store()) is None


def test_an_empty_job_is_complete(job, run):
    assert run(job(lanes=[]), Store()) is None


def test_a_second_run_goes_on_where_the_first_one_stopped(job, run):
    each = job("watch-events", [[150, 90], [70]])
    store = Store()
    stop = run(each, store, limit=130)
    assert stop == Stop(StopKind.LIMIT, "the limit of 130 records is reached")
    assert len(store.stored) == 130
    assert run(each, store) is None
    assert sorted(store.stored) == list(range(310))


@pytest.mark.parametrize("name", APIS)
@pytest.mark.parametrize("limit", [1, 99, 100, 101, 250])
def test_a_limit_is_never_passed_and_always_reached(job, run, name, limit):
    each = job(name, [[60] * 6], keys=5)
    store = Store(latency=0.001)
    stop = run(each, store, limit=limit)
    assert stop is not None
    assert stop.kind is StopKind.LIMIT
    assert len(store.stored) == len(each.numbers(DELIVERED)) == limit


def test_a_limit_that_is_just_enough_completes_the_job(job, run):
    assert run(job(lanes=[[8, 8]]), Store(), limit=16) is None


def test_a_limit_that_is_reached_hides_no_other_reason(job, run):
    stop = run(job(), Store(lambda store, request: error(401)), limit=1)
    assert stop is not None
    assert stop.kind is StopKind.REFUSED


def test_a_limit_counts_records_and_not_attempts(job, run):
    def behave(store, request):
        if request.attempt == 1:
            return error(408)
        store.store(request)
        return accepted(request)

    each = job(lanes=[[20, 20]])
    store = Store(behave)
    stop = run(each, store, limit=10)
    assert stop is not None
    assert stop.kind is StopKind.LIMIT
    assert len(store.stored) == 10
    with each.open() as ledger:
        assert ledger.requests() == RequestCounts(sent=20, retried=10)


# --- verdicts ------------------------------------------------------------------------------


def test_refused_records_fail_with_the_servers_words(job, run):
    def behave(store, request):
        if request.numbers[0] % 5 == 0:
            return error(422, error={"code": "bad", "message": "Odd event."})
        store.store(request)
        return accepted(request)

    each = job(lanes=[[10, 10]])
    assert run(each, Store(behave)) is None
    assert each.numbers(FAILED) == [0, 5, 10, 15]
    assert {outcome.reason for outcome in each.outcomes() if outcome.state is FAILED} == {
        "bad: Odd event."
    }


@pytest.mark.parametrize("named", [True, False])
def test_bad_items_of_a_batch_fail_alone(job, run, named):
    bad = {3, 4, 77, 120}

    def behave(store, request):
        wrong = [index for index, number in enumerate(request.numbers) if number in bad]
        if not wrong:
            store.store(request)
            return accepted(request)
        details = [{"path": f"events.{index}.label", "message": "Odd."} for index in wrong]
        return error(400, code="c", request_id="r-9", details=details if named else None)

    each = job("watch-events", [[150]])
    store = Store(behave)
    assert run(each, store) is None
    assert each.numbers(FAILED) == sorted(bad)
    assert store.stored == [number for number in range(150) if number not in bad]
    failed = [outcome for outcome in each.outcomes() if outcome.state is FAILED]
    assert {outcome.reason for outcome in failed} == {"label: Odd." if named else "c: No."}
    assert {outcome.request_id for outcome in failed} == {"r-9"}


def test_batches_that_are_too_large_are_split(job, run):
    def behave(store, request):
        if len(request.items) > 30:
            return error(413)
        store.store(request)
        return accepted(request)

    each = job("watch-feedbacks", [[100]])
    assert run(each, Store(behave)) is None
    assert each.numbers(DELIVERED) == list(range(100))


AMBIGUOUS = [
    httpx.Response(500),
    httpx.Response(502, html="<html>"),
    TransportFault(Fault.DISCONNECTED),
    TransportFault(Fault.TIMEOUT),
    TransportFault(Fault.BROKEN_REPLY),
    httpx.ReadError("reset"),
]


@pytest.mark.parametrize("answer", AMBIGUOUS, ids=repr)
@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])
def test_the_guarantee_decides_about_ambiguous_answers(job, run, answer, guarantee):
    def behave(store, request):
        store.stored.extend(request.numbers)
        return answer if request.numbers == [5] and request.attempt == 1 else accepted(request)

    each = job(lanes=[[10]])
    store = Store(behave)
    assert run(each, store, guarantee=guarantee) is None
    with each.open() as ledger:
        assert ledger.requests().retried == (guarantee == "at-least-once")
    if guarantee == "at-most-once":
        assert each.numbers(UNKNOWN) == [5]
        assert store.stored == list(range(10))
    else:
        assert each.numbers(UNKNOWN) == []
        assert store.stored == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]


def test_a_record_that_never_gets_a_clear_answer_does_not_hold_up_the_job(job, run_virtually):
    """At least once is not without end: one bad record is sent ten times, then unknown."""

    def behave(store, request):
        store.stored.extend(request.numbers)
        return error(500) if request.numbers == [5] else accepted(request)

    each = job(lanes=[[100] * 5])
    store = Store(behave, latency=0.01)
    assert run_virtually(each, store, guarantee="at-least-once", rate=1000.0) is None
    assert each.numbers(UNKNOWN) == [5]
    assert len(each.numbers(DELIVERED)) == 499
    assert store.stored.count(5) == 10
    assert len(store.stored) == 509
    (reason,) = {outcome.reason for outcome in each.outcomes() if outcome.state is UNKNOWN}
    assert reason == "No. (10 times)"
    times = [request.at for request in store.requests if request.numbers == [5]]
    assert times[-1] - times[0] > 5


def test_a_destination_that_is_down_makes_nothing_unknown_under_at_least_once(job, run_virtually):
    each = job(lanes=[[30]])
    stop = run_virtually(each, Store(lambda *_: error(500)), guarantee="at-least-once")
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert each.numbers(UNKNOWN) == each.numbers(DELIVERED) == []


def test_a_lane_that_rests_does_not_hold_up_the_end_of_a_run(job, run_virtually):
    moments: list[float] = []
    each = job(lanes=[[10]])
    stop = run_virtually(
        each,
        Store(lambda *_: error(408)),
        max_duration=20.0,
        patience=1000.0,
        observe=lambda _: moments.append(anyio.current_time()),
    )
    assert stop is not None
    assert stop.kind is StopKind.LIMIT
    assert moments[-1] - moments[0] == pytest.approx(20.0, abs=0.2)


def test_an_unreadable_success_is_unknown_under_either_guarantee(job, run):
    each = job(lanes=[[3]])
    store = Store(lambda store, request: httpx.Response(202))
    assert run(each, store, guarantee="at-least-once") is None
    assert each.numbers(UNKNOWN) == [0, 1, 2]


@pytest.mark.parametrize(
    "answer",
    [
        error(408),
        error(429),
        error(503, error={"code": "unavailable", "message": "Later."}),
        TransportFault(Fault.REFUSED),
        httpx.ConnectError("x"),
    ],
    ids=repr,
)
def test_what_did_nothing_is_sent_again_and_nothing_overtakes_it(job, run_virtually, answer):
    def behave(store, request):
        if request.numbers[0] % 4 == 0 and request.attempt < 3:
            return answer
        store.store(request)
        return accepted(request)

    each = job(lanes=[[8, 8]])
    store = Store(behave)
    assert run_virtually(each, store) is None
    assert sorted(store.stored) == each.numbers(DELIVERED) == list(range(16))
    with each.open() as ledger:
        counts = ledger.requests()
    assert (counts.sent, counts.retried) == (24, 8)
    throttled = isinstance(answer, httpx.Response) and answer.status_code in (429, 503)
    assert counts.throttled == (8 if throttled else 0)


@pytest.mark.parametrize("waits", [("4", "0"), ("0", "4"), ("0, 4",), ("4", "soon", "1")])
def test_of_several_waits_the_longest_counts(job, run_virtually, waits):
    headers = [(b"Retry-After", each.encode()) for each in waits]

    def behave(store, request):
        if len(store.requests) == 1:
            return httpx.Response(429, headers=headers)
        store.store(request)
        return accepted(request)

    each = job(lanes=[[3]])
    store = Store(behave)
    assert run_virtually(each, store) is None
    assert store.requests[1].at - store.requests[0].at >= 4.0


# --- stops ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("pristo-events", 401, ["PRISTO_API_KEY", "both UUIDs", "Who are you?"]),
        ("pristo-events", 404, ["population", "Who are you?"]),
        ("pristo-events", 403, ["PRISTO_API_KEY"]),
        ("watch-events", 401, ["PRELUDE_API_TOKEN", "Who are you?"]),
        ("watch-events", 402, ["PRELUDE_API_TOKEN"]),
        ("watch-events", 404, ["base_url"]),
        ("watch-events", 405, ["base_url"]),
        ("watch-events", 307, ["https://elsewhere.example.com/", "base_url"]),
    ],
)
def test_a_refusal_stops_at_once_with_all_pending(job, run, name, status, message):
    each = job(name, [[50] * 10])
    headers = {"location": "https://elsewhere.example.com/"} if status == 307 else None
    store = Store(lambda store, request: error(status, "Who are you?", headers))
    stop = run(each, store)
    assert stop is not None
    assert stop.kind is StopKind.REFUSED
    for word in ["127.0.0.1", str(status), *message]:
        assert word in stop.message
    assert "hunter2" not in stop.message
    assert len(store.requests) == 1  # the first request goes alone
    assert not each.outcomes()


def test_more_failed_records_than_allowed_stop_the_run(job, run):
    each = job(lanes=[[100] * 4])
    store = Store(lambda store, request: error(400))
    stop = run(each, store, max_errors_count=10, concurrency=4)
    assert stop is not None
    assert stop.kind is StopKind.ERRORS
    assert "max_errors is 10" in stop.message
    assert 11 <= len(each.numbers(FAILED)) <= 11 + 8


def test_a_share_of_failed_records_stops_only_after_a_fair_sample(job, run):
    def behave(store, request):
        return error(400) if request.numbers[0] < 20 else accepted(request)

    each = job(lanes=[[400]])
    stop = run(each, Store(behave), max_errors_fraction=0.05, concurrency=1)
    assert stop is not None
    assert stop.kind is StopKind.ERRORS
    assert 200 <= len(each.numbers(DELIVERED)) + len(each.numbers(FAILED)) <= 205


def test_a_small_job_ends_whatever_its_share(job, run):
    each = job(lanes=[[30]])
    assert run(each, Store(lambda store, request: error(400)), max_errors_fraction=0.01) is None
    assert len(each.numbers(FAILED)) == 30


def test_unknown_and_throttled_records_are_no_errors(job, run_virtually):
    def behave(store, request):
        if request.attempt == 1 and request.numbers[0] % 3 == 0:
            return error(429)
        return error(500) if request.numbers[0] % 3 == 1 else accepted(request)

    each = job(lanes=[[60]])
    assert run_virtually(each, Store(behave), max_errors_count=0) is None
    assert len(each.numbers(UNKNOWN)) == 20


def test_an_outage_stops_soon_with_few_unknown(job, run_virtually):
    each = job(lanes=[[50] * 20])
    stop = run_virtually(each, Store(lambda store, request: error(500)))
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert "127.0.0.1" in stop.message
    assert len(each.numbers(UNKNOWN)) <= 12


def test_an_unreachable_server_stops_after_patience_with_nothing_unknown(job, run_virtually):
    each = job(lanes=[[50] * 20])
    store = Store(lambda store, request: TransportFault(Fault.UNRESOLVED, "no such name"))
    stop = run_virtually(each, store, patience=30.0)
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert "no such name" in stop.message
    assert not each.outcomes()


@pytest.mark.parametrize("rate", [None, 50.0])
def test_a_destination_that_only_ever_says_slow_down_is_unavailable(job, run_virtually, rate):
    each = job(lanes=[[20, 20]])
    store = Store(lambda *_: error(429))
    stop = run_virtually(each, store, rate=rate, max_wait=100.0)
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert 100 < store.requests[-1].at - store.requests[0].at < 112
    assert each.numbers(UNKNOWN) == each.numbers(FAILED) == []


def test_a_retry_after_quiets_every_lane(job, run_virtually):
    asked: list[float] = []

    def behave(store, request):
        if len(store.requests) >= 30 and not asked:
            asked.append(anyio.current_time())
            return error(429, headers={"Retry-After": "120"})
        store.store(request)
        return accepted(request)

    each = job(lanes=[[10] * 8])
    store = Store(behave, latency=0.01)
    assert run_virtually(each, store, max_wait=600.0) is None
    late = [request.at for request in store.requests if request.at > asked[0]]
    assert min(late) >= asked[0] + 120
    assert sorted(store.stored) == list(range(80))


def test_a_wait_is_written_down_by_a_clock_that_was_set_back_since_the_one_before(
    job, run_virtually
):
    """Its end is an earlier moment than that of the first wait, and yet the one to be kept."""
    ahead = [3600.0]

    def behave(store, request):
        if len(store.requests) == 1:
            return error(429, headers={"Retry-After": "10"})
        ahead[0] = 0.0
        return error(429, headers={"Retry-After": "300"})

    each = job(lanes=[[4]])
    wall = lambda: 1_700_000_000 + anyio.current_time() + ahead[0]  # noqa: E731
    stop = run_virtually(each, Store(behave), wall=wall, max_wait=100.0)
    assert stop is not None
    with each.open() as ledger:
        assert ledger.quiet_until() == stop.come_back_at
        asked_at = ledger.get_meta(QUIET_ASKED_AT)
    assert asked_at is not None
    assert float(asked_at) == pytest.approx(stop.come_back_at - 300), "not when it was written down"
    assert 1_700_000_300 < stop.come_back_at < 1_700_003_600


def test_a_date_that_is_asked_for_again_is_a_longer_wait_once_the_clock_was_set_back(
    job, run_virtually
):
    """It is written down again, or the next run would take it for one of a few seconds."""
    ahead, until = [3600.0], 1_700_003_605.0

    def behave(store, request):
        ahead[0] = 3600.0 if len(store.requests) == 1 else 0.0
        return error(429, headers={"Retry-After": formatdate(until, usegmt=True)})

    each = job(lanes=[[4]])
    wall = lambda: 1_700_000_000 + anyio.current_time() + ahead[0]  # noqa: E731
    stop = run_virtually(each, Store(behave), wall=wall, max_wait=100.0)
    assert stop is not None
    assert stop.come_back_at == until
    with each.open() as ledger:
        assert float(ledger.get_meta(QUIET_ASKED_AT)) == pytest.approx(until - 3600, abs=10)


def test_of_two_waits_that_are_asked_for_at_one_moment_the_longer_one_is_written_down(
    job, run_virtually
):
    each = job(lanes=[[4], [4]])

    def behave(store, request):
        return error(429, headers={"Retry-After": "4" if len(store.requests) == 1 else "4000"})

    wall = lambda: 1_700_000_000.0  # noqa: E731
    stop = run_virtually(each, Store(behave), wall=wall, max_wait=100.0, concurrency=2)
    assert stop is not None
    assert stop.come_back_at == wall() + 4000
    with each.open() as ledger:
        assert float(ledger.get_meta(QUIET_UNTIL)) == wall() + 4000


def test_a_wait_longer_than_max_wait_stops_and_is_obeyed_by_the_next_run(job, run_virtually):
    each = job(lanes=[[10] * 4])
    store = Store(lambda store, request: error(429, headers={"Retry-After": "3600"}))
    stop = run_virtually(each, store)
    assert stop is not None
    assert stop.kind is StopKind.UNAVAILABLE
    assert stop.come_back_at == pytest.approx(1_700_003_600, abs=5)
    with each.open() as ledger:
        assert ledger.quiet_until() == stop.come_back_at
    for wait in (600.0, 7200.0):
        later = Store()
        began: list[float] = []

        def wall(began: list[float] = began) -> float:
            began[:] = began or [anyio.current_time()]
            return 1_700_000_100.0 + anyio.current_time() - began[0]

        again = run_virtually(each, later, max_wait=wait, wall=wall)
        if wait == 600.0:
            assert again is not None
            assert again.come_back_at == stop.come_back_at
            assert not later.requests
        else:
            assert again is None
            assert min(each.at for each in later.requests) - began[0] >= 3500 - 1


def test_max_duration_stops_the_run(job, run_virtually):
    each = job(lanes=[[1000]])
    store = Store(latency=1.0)
    stop = run_virtually(each, store, max_duration=5.5)
    assert stop is not None
    assert stop.kind is StopKind.LIMIT
    assert each.numbers(DELIVERED) == list(range(6))  # the sixth was in flight, and finished


def test_max_duration_ends_a_wait_for_the_limiter(job, run_virtually):
    each = job(lanes=[[10]])
    store = Store()
    stop = run_virtually(each, store, rate=0.001, max_duration=5.0)
    assert stop is not None
    assert stop.kind is StopKind.LIMIT
    assert len(store.requests) == 1


@pytest.mark.parametrize("kind", [StopKind.INTERRUPTED, StopKind.TERMINATED])
def test_a_halt_finishes_what_is_in_flight_and_starts_nothing(job, run, kind):
    halt = StopRequest()

    def behave(store, request):
        if len(store.requests) >= 20:
            halt.request(kind)
        store.store(request)
        return accepted(request)

    each = job(lanes=[[50] * 8])
    store = Store(behave, latency=0.01)
    stop = run(each, store, halt=halt, concurrency=8)
    assert stop is not None
    assert stop.kind is kind
    assert len(store.requests) <= 20 + 2 * 8
    assert sorted(store.stored) == each.numbers(DELIVERED)
    assert each.numbers(UNKNOWN) == []


def test_a_halt_before_the_run_begins_sends_nothing(job, run):
    halt = StopRequest()
    halt.request(StopKind.TERMINATED)
    store = Store()
    stop = run(job(), store, halt=halt)
    assert stop is not None
    assert stop.kind is StopKind.TERMINATED
    assert not store.requests


def test_of_several_reasons_the_first_by_precedence_is_told(job, run):
    halt = StopRequest()

    def behave(store, request):
        halt.request(StopKind.INTERRUPTED)
        return error(401)

    stop = run(job(), Store(behave), halt=halt)
    assert stop is not None
    assert stop.kind is StopKind.REFUSED


# --- faults of our own ---------------------------------------------------------------------


class Breaking(Ledger):
    """A real ledger whose disk is full after some commits."""

    left = 10**9

    def commit(self, settled, started, tick=None):
        self.left -= 1
        if self.left < 0:
            raise LedgerError("the disk is full")
        super().commit(settled, started, tick)


@pytest.mark.parametrize("commits", [0, 1, 7])
def test_after_a_fault_of_the_ledger_nothing_is_sent_and_the_books_balance(job, run, commits):
    each = job(lanes=[[20] * 4])
    store = Store(latency=0.002)
    ledger = Breaking.open(each.directory / "ledger.sqlite", create=True)
    assert isinstance(ledger, Breaking)
    ledger.left = commits
    with pytest.raises(LedgerError, match="the disk is full"):
        run(each, store, ledger=ledger)
    ledger.close()
    delivered, unknown = set(each.numbers(DELIVERED)), set(each.numbers(UNKNOWN))
    assert delivered | unknown >= set(store.stored)
    assert len(unknown) <= 4
    again = Store()
    assert run(each, again) is None
    assert not set(again.stored) & (delivered | unknown)
    assert sorted([*again.stored, *delivered, *unknown]) == list(range(80))


def test_a_ready_file_that_is_gone_ends_the_run_in_words(job, run):
    each = job(lanes=[[200], [5]])
    (each.directory / "ready" / "001.parquet").unlink()
    store = Store()
    with pytest.raises(JobError, match=r"cannot be read"):
        run(each, store, concurrency=1)
    assert each.numbers(DELIVERED) == sorted(store.stored)


def test_an_address_that_takes_no_credential_sends_nothing(job, run):
    store = Store()
    with pytest.raises(ConfigError):
        run(job(), store, base_url="http://api.example.com")
    assert not store.requests


def test_a_cancelled_run_has_recorded_every_answer_that_it_heard(job):
    each = job(lanes=[[50] * 8])
    heard: list[int] = []

    async def go() -> None:
        with anyio.CancelScope() as scope:

            def behave(store, request):
                if len(heard) >= 30:
                    scope.cancel()
                heard.extend(request.numbers)
                return accepted(request)

            await each.run(Store(behave), concurrency=8)

    anyio.run(go)
    delivered, unknown = set(each.numbers(DELIVERED)), set(each.numbers(UNKNOWN))
    assert set(heard) <= delivered | unknown
    assert len(unknown) <= 8
    assert len(delivered) >= 20


# --- watching ------------------------------------------------------------------------------


def test_snapshots_begin_where_the_job_stood_and_end_with_its_books(job, run):
    each = job(lanes=[[40] * 4])
    run(each, Store(), limit=50)
    seen: list[Snapshot] = []
    assert run(each, Store(latency=0.02), observe=seen.append) is None
    assert (seen[0].delivered, seen[0].pending) == (50, 110)
    assert (seen[-1].delivered, seen[-1].pending, seen[-1].in_flight) == (160, 0, 0)
    assert [each.delivered for each in seen] == sorted(each.delivered for each in seen)
    assert all(each.delivered + each.pending == 160 for each in seen)
    assert seen[-1].sent == 110
    assert 2 <= len(seen) < 20


def test_ticks_tell_what_happened_when(job, run):
    def behave(store, request):
        return error(400) if request.numbers == [3] else accepted(request)

    each = job(lanes=[[40]])
    run(each, Store(behave), wall=lambda: 1_700_000_007.0)
    with each.open() as ledger:
        (tick,) = ledger.ticks()
    assert tick.at == 1_700_000_000
    assert (tick.sent, tick.delivered, tick.failed, tick.unknown) == (40, 39, 1, 0)
    assert sum(tick.latency.values()) == 40


def test_the_credential_is_in_no_log(job, run, caplog):
    caplog.set_level(logging.DEBUG)
    run(job(), Store(lambda store, request: error(401)))
    assert "hunter2" not in caplog.text
    assert "401" in caplog.text


def test_a_found_rate_is_remembered_for_the_next_run(job, run_virtually):
    def behave(store, request):
        last_second = [each for each in store.requests[-21:] if each.at > request.at - 1]
        if len(last_second) > 20:
            return error(429, headers={"Retry-After": "1"})
        store.store(request)
        return accepted(request)

    each = job(lanes=[[80] * 10])
    assert run_virtually(each, Store(behave), rate=None, limit=600) is not None
    with each.open() as ledger:
        learned = float(ledger.get_meta("learned_rate") or 0)
    assert 5 < learned < 30
    store = Store(behave)
    assert run_virtually(each, store, rate=None) is None
    begun = store.requests[0].at
    early = [each for each in store.requests if each.at < begun + 5]
    assert len(early) == pytest.approx(5 * learned, rel=0.4)


@pytest.mark.parametrize("name", APIS)
def test_failed_records_that_are_pending_again_are_sent_with_their_own_bodies(job, run, name):
    each = job(name, [[300, 40], [260]], keys=5)
    bad = set(range(3, 600, 7))

    def behave(store, request):
        wrong = [index for index, number in enumerate(request.numbers) if number in bad]
        if not wrong:
            store.store(request)
            return accepted(request)
        key = "feedbacks" if name == "watch-feedbacks" else "events"
        return error(400, details=[{"path": f"{key}.{index}"} for index in wrong])

    assert run(each, Store(behave)) is None
    assert set(each.numbers(FAILED)) == bad
    with each.open() as ledger:
        assert ledger.retry() == len(bad)
    store = Store()
    assert run(each, store) is None
    assert sorted(store.stored) == sorted(bad)
    assert each.numbers(DELIVERED) == list(range(600))


def test_a_log_tells_refusals_with_their_reasons_and_how_far_a_run_is(job, run_virtually, caplog):
    each = job(lanes=[[4]])

    def behave(store: Store, request):
        if request.attempt == 1 and request.numbers == [2]:
            return error(429, "slow down", {"Retry-After": "90"})
        return accepted(request)

    with caplog.at_level(logging.INFO, logger="backfill"):
        run_virtually(each, Store(behave), observe=lambda snapshot: None)
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("refused: 429") and "slow down" in line for line in lines)
    assert any("pending" in line and "2 delivered" in line for line in lines)


def test_a_pace_that_is_said_while_a_fault_ends_a_run_adds_no_fault_of_its_own(job, monkeypatch):
    """Found by simulation: the lanes are gone, and their last outcomes are still being written."""
    broken = False

    def pace() -> PaceSetting:
        return PaceSetting(concurrency=3) if broken else PaceSetting()

    async def slow(function, *args, **_):
        await anyio.sleep(0.01 if function is pace else 1.0)
        return function(*args)

    def behave(store, request):
        async def fail() -> httpx.Response:
            nonlocal broken
            await anyio.sleep(0.2)  # while the other's outcome is being written
            broken = True
            raise RuntimeError("a fault")

        if number_of(request.items[0]) == 0:
            return accepted(request)
        return fail()

    async def inside() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await job(lanes=[[1, 1, 1]]).run(Store(behave), concurrency=2, pace=pace)
        faults, others = caught.value.split(lambda each: str(each) == "a fault")
        assert faults is not None
        assert others is None

    monkeypatch.setattr(anyio.to_thread, "run_sync", slow)
    clock = trio.testing.MockClock(autojump_threshold=0)
    anyio.run(inside, backend="trio", backend_options={"clock": clock})


# --- a destination of another package that does something wrong ---------------------------------


def raising(error: BaseException):
    def method(*_: object):
        raise error

    return method


@pytest.mark.parametrize("method", ["body", "request_headers"])
@pytest.mark.parametrize("wrong", [raising(RuntimeError("Oh, hunter2-credential")), lambda *_: "x"])
def test_a_request_that_cannot_be_made_leaves_its_records_pending(
    job, run, monkeypatch, method, wrong
):
    each = job("watch-events", [[150, 90]])
    monkeypatch.setattr(type(destination("watch-events")), method, wrong)
    store = Store()
    with pytest.raises(
        DestinationError, match=f"'watch-events' failed in its method '{method}'"
    ) as told:
        run(each, store)
    assert "hunter2" not in str(told.value)
    assert not store.requests
    assert not each.numbers(UNKNOWN)
    monkeypatch.undo()
    assert run(each, store) is None
    assert sorted(store.stored) == list(range(240))


@pytest.mark.parametrize(
    "wrong",
    [
        raising(SystemExit(0)),
        raising(KeyError("data")),
        lambda *_: None,
        lambda *_: Verdict(Flow.ISOLATE, "bad items", 400, bad=(1, 2)),  # type: ignore[arg-type]
        lambda _, __, size: Verdict(Flow.ISOLATE, "bad items", 400, bad={size: "no"}),
    ],
)
def test_an_answer_that_a_destination_cannot_read_ends_the_run_with_its_records_unknown(
    job, run, monkeypatch, wrong
):
    each = job("watch-events", [[150, 90]])
    monkeypatch.setattr(type(destination("watch-events")), "verdict", wrong)
    store = Store()
    with pytest.raises(DestinationError, match="'watch-events' failed in its method 'verdict'"):
        run(each, store, concurrency=1)
    assert len(store.requests) == 1
    assert each.numbers(UNKNOWN) == sorted(store.stored)
