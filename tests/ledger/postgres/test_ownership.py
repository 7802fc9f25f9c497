"""A bucket belongs to one process at a time, and whoever lost it can record nothing for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from backfill.core.errors import BusyError, LedgerError, OwnershipError
from backfill.core.model import Batch, Cause, Outcome, Settlement, State, Tick
from backfill.ledger.postgres import PostgresLedger
from backfill.ledger.postgres.session import now
from backfill.ledger.sharing import Terms
from tests.ledger.places import PostgresPlace, cut
from tests.ledger.postgres.server import PostgresServer


@pytest.fixture
def place(postgres: PostgresServer) -> PostgresPlace:
    place = PostgresPlace(postgres.address)
    PostgresLedger.open(place.address, place.schema, create=True).close()
    return place


@pytest.fixture
def two(place: PostgresPlace) -> Iterator[tuple[PostgresLedger, PostgresLedger]]:
    with opened(place) as first, opened(place) as second:
        yield first, second


def opened(place: PostgresPlace, lease: float = 10.0) -> PostgresLedger:
    return PostgresLedger.open(place.address, place.schema, lease=lease)


def batch(bucket: int, start: int = 0) -> Batch:
    return Batch(bucket, 0, ((start, start + 5),))


def delivered(sent: Batch) -> Settlement:
    return Settlement(sent, (Outcome(sent.ranges, State.DELIVERED),))


def take(ledger: PostgresLedger, bucket: int, within: float = 5.0) -> int:
    """Take a bucket whose owner is about to be gone."""
    deadline = time.monotonic() + within
    while (lost := ledger.take(bucket)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return lost


def test_a_bucket_has_one_owner_until_it_is_released(two) -> None:
    first, second = two
    assert first.take(0) == 0
    assert first.take(0) == 0, "it is ours already"
    assert second.take(0) is None
    assert second.take(1) == 0
    first.commit([], [batch(0)])
    assert not first.release(0), "something of it is in flight"
    first.commit([delivered(batch(0))], [])
    assert first.release(0)
    assert second.take(0) == 0
    second.commit([], [batch(0, 5)])


def test_without_taking_it_nobody_writes_for_a_bucket(two) -> None:
    first, second = two
    first.take(0)
    for ledger, bucket in ((second, 0), (first, 1)):
        with pytest.raises(OwnershipError, match="not this process's"):
            ledger.commit([], [batch(bucket)])
    assert first.in_flight() == 0


def test_only_what_the_last_owner_of_a_bucket_left_is_settled(two, place) -> None:
    first, second = two
    first.take(0)
    first.take(1)
    second.take(2)
    for bucket in (0, 1):
        first.commit([], [batch(bucket)])
    second.commit([], [batch(2)])
    cut(first)
    assert take(second, 0) == 5
    assert second.recovered == 5
    assert second.in_flight() == 10, "bucket 1 waits for its next owner, and 2 is ours"
    assert second.counts()[State.UNKNOWN] == 5
    (outcome,) = [each for _, each, _ in second.outcomes()]
    assert outcome.cause is Cause.LOST
    second.commit([delivered(batch(2))], [batch(0, 5)])
    first.close()
    opened(place).close()  # whose totals must agree


def test_who_opens_or_looks_settles_nothing_of_a_living_run(two, place) -> None:
    first, _ = two
    first.take(0)
    first.commit([], [batch(0)])
    with opened(place) as third, place.look() as look:
        assert third.recovered == look.recovered == 0
        assert look.in_flight() == 5
    first.commit([delivered(batch(0))], [])


def test_one_that_was_not_heard_of_for_a_lease_loses_its_bucket(place) -> None:
    with opened(place, lease=0.3) as frozen, opened(place, lease=0.3) as other:
        frozen.take(0)
        frozen.commit([], [batch(0)])
        heard = time.monotonic()
        assert other.take(0) is None
        assert take(other, 0) == 5
        assert time.monotonic() - heard >= 0.3
        assert not frozen.may_send(), "it knows that it may not send"
        with pytest.raises(OwnershipError, match="took bucket 0"):
            frozen.commit([delivered(batch(0))], [batch(0, 5)])
        with pytest.raises(LedgerError):
            frozen.commit([], [batch(0, 5)])
        assert other.in_flight() == 0
        assert other.counts() == {State.DELIVERED: 0, State.FAILED: 0, State.UNKNOWN: 5}


def test_one_that_is_heard_of_keeps_its_bucket(place) -> None:
    with opened(place, lease=0.4) as alive, opened(place, lease=0.4) as other:
        alive.take(0)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            alive.in_flight()
            assert other.take(0) is None
            time.sleep(0.02)
        alive.commit([], [batch(0)])


def test_what_comes_in_for_a_lost_bucket_is_left_out_and_the_rest_is_recorded(place) -> None:
    with opened(place) as first, opened(place) as second:
        for bucket in (0, 1):
            first.take(bucket)
        first.commit([], [batch(0), batch(1)])
        place.tamper("UPDATE owner SET epoch = epoch + 1 WHERE bucket = 0")
        came_in = [delivered(batch(0)), delivered(batch(1))]
        tick = Tick(at=10, sent=2, delivered=10)
        with pytest.raises(OwnershipError):
            first.commit(came_in, [], tick)
        first.commit(came_in, [], tick)
        assert first.counts()[State.DELIVERED] == 5
        assert [(each.sent, each.delivered) for each in second.ticks()] == [(1, 5)]
        assert second.requests().sent == 2, "and the one that its next owner is to settle"


class Noticed:
    """The turn at a ledger's session: whoever had it before has noticed which buckets are lost."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self._ledger, self._turn = ledger, ledger._session.turn
        self._known = False

    def __enter__(self) -> None:
        self._turn.acquire()
        if not self._known:
            self._known = True
            self._ledger._see_what_is_lost()

    def __exit__(self, *_: object) -> None:
        self._turn.release()


def test_a_bucket_whose_loss_is_noticed_while_a_commit_waits_is_left_out(place) -> None:
    """As when a draw, on a process that was frozen, makes the connection anew just before."""
    with opened(place) as ledger:
        for bucket in (0, 1):
            ledger.take(bucket)
        ledger.commit([], [batch(0), batch(1)])
        place.tamper("UPDATE owner SET epoch = epoch + 1 WHERE bucket = 0")
        ledger._session.turn = Noticed(ledger)  # type: ignore[assignment]
        ledger.commit([delivered(batch(0)), delivered(batch(1))], [])
        assert ledger.settled(1) == [(0, 5)]
        assert ledger.settled(0) == []


@pytest.mark.parametrize(("of_the_lost", "of_the_taker"), [(60.0, 0.1), (0.1, 60.0)])
def test_lanes_are_held_for_as_long_as_whoever_waits_longer_for_an_answer(
    place, of_the_lost, of_the_taker
) -> None:
    """Each deliverer has a timeout of its own: from its command line, or its configuration."""
    lost = PostgresLedger.open(place.address, place.schema, hold=of_the_lost)
    taker = PostgresLedger.open(place.address, place.schema, hold=of_the_taker)
    with lost, taker:
        lost.take(0)
        lost.commit([], [Batch(0, 3, ((0, 5),))])
        cut(lost)
        take(taker, 0)
        assert 50 < taker.held(0)[3] <= 60


def test_lanes_of_a_lost_request_are_held_and_nobody_sends_it_again_meanwhile(place) -> None:
    ledger = PostgresLedger.open(place.address, place.schema, hold=0.6)
    with opened(place) as first, ledger as second:
        first.take(0)
        first.commit([], [Batch(0, 3, ((0, 5),)), Batch(0, 7, ((50, 55),))])
        cut(first)
        take(second, 0)
        assert second.held(0).keys() == {3, 7}
        assert all(0 < seconds <= 0.6 for seconds in second.held(0).values())
        first.close()
        for resend in (second.resolve, lambda to: second.resolve(to, {0: [(0, 2)]})):
            with pytest.raises(BusyError, match="may still arrive, for 1 s"):
                resend(State.PENDING)
        assert second.resolve(State.DELIVERED, {0: [(0, 2)]}) == 2, "to say its end is no sending"
        time.sleep(0.7)
        assert second.held(0) == {}
        assert second.resend_lost_in(0, (0, 10)) == 3
        (_, records, attempt), *more = second.attempts(0, 3)
        assert (records, attempt.reason, more) == (
            3,
            "the program ended before the reply was written down",
            [],
        )
        assert second.settled(0) == [(0, 2), (50, 55)]
        assert second.progress() == {0: (2, 0, 5, 0)}
        assert second.resolve(State.PENDING) == 5


def test_a_bucket_that_was_not_given_back_is_an_orphan_once_its_owner_is_gone(two) -> None:
    first, second = two
    for bucket in (0, 1):
        first.take(bucket)
    first.release(1)
    assert second.orphans() == []
    cut(first)
    deadline = time.monotonic() + 5
    while second.orphans() != [0]:
        assert time.monotonic() < deadline
    assert second.take_one([0, 1]) == (0, 0)
    assert second.orphans() == []


def test_alone_with_a_job_one_settles_what_all_dead_owners_left(place) -> None:
    with opened(place) as dead, opened(place) as alive, opened(place) as other:
        dead.take(0)
        dead.take(4)
        dead.commit([], [batch(0), batch(4)])
        alive.budget.join(Terms())
        assert not other.be_alone()
        alive.close()
        dead.close()
        deadline = time.monotonic() + 5
        while other.orphans() != [0, 4]:
            assert time.monotonic() < deadline
        with place.look() as look:
            assert not look.running
            assert look.counts()[State.UNKNOWN] == 10, "as they will be settled"
            assert look.in_flight() == 0
            assert [each.cause for _, each, _ in look.outcomes()] == [Cause.LOST, Cause.LOST]
        assert other.counts()[State.UNKNOWN] == 0, "looking has changed nothing"
        assert other.be_alone()
        assert other.recover() == 10
        assert other.retry() == 0
        assert other.resolve(State.FAILED) == 10


def test_nobody_is_alone_with_a_job_while_a_request_of_who_may_come_back_is_out(place) -> None:
    """A database that was started anew spares every bucket for a lease, as its owner may be alive.
    What is in flight there would pass for pending, and go into the rest of the job, too.
    """
    with opened(place) as away:
        away.take(0)
        away.commit([], [batch(0)])
    with opened(place, lease=1e6) as early, opened(place) as late:
        deadline = time.monotonic() + 5
        while late.orphans() != [0]:
            assert time.monotonic() < deadline
        place.tamper("UPDATE owner SET taken_at = pg_postmaster_start_time() - interval '1 s'")
        assert not early.be_alone()
        assert early.in_flight() == 5, "it is as it was"
        place.tamper("UPDATE owner SET taken_at = clock_timestamp()")
        assert late.be_alone(), "the other one does not stand in the way"
        assert late.recovered == late.counts()[State.UNKNOWN] == 5


@pytest.mark.parametrize("heard", [True, False], ids=["heard of before", "never heard of"])
def test_a_look_counts_the_requests_of_the_dead_as_they_will_be_counted(place, heard) -> None:
    """Found from outside: as long as nobody ran the job again, they were left out."""
    with opened(place) as dead:
        for bucket in (0, 4):
            dead.take(bucket)
        if heard:
            dead.commit([], [batch(0, 0)])
            dead.commit([delivered(batch(0, 0))], [], Tick(60, sent=1, delivered=5))
            dead.commit([], [], Tick(70, sent=2, throttled=2, latency={3: 2}))
        parts = Batch(0, 1, ((5, 8), (10, 12)))
        dead.commit([], [parts, Batch(0, 2, ((20, 21),)), batch(4, 0)])
    with opened(place) as other:
        deadline = time.monotonic() + 5
        while other.orphans() != [0, 4]:
            assert time.monotonic() < deadline
        with place.look() as look:
            asked, ticks = look.requests(), look.ticks()
        assert other.recover() == 11
    with place.look() as look:
        if heard:
            assert (asked, ticks) == (look.requests(), look.ticks())
        assert asked.sent == look.requests().sent == sum(each.sent for each in ticks)
        assert asked.sent == (6 if heard else 3)


def test_a_job_of_which_all_is_pending_again_was_begun_all_the_same(place) -> None:
    """A plan forgets the ledgers of its place of which nothing was sent."""
    with opened(place) as ledger:
        assert not ledger.begun()
        ledger.take(0)
        ledger.commit([], [batch(0)])
        failed = Outcome(batch(0).ranges, State.FAILED)
        ledger.commit([Settlement(batch(0), (failed,))], [], Tick(60, sent=1, failed=5))
    with opened(place) as other:
        deadline = time.monotonic() + 5
        while not other.be_alone():
            assert time.monotonic() < deadline
        assert other.retry() == 5
    with opened(place) as beside:
        assert beside.begun()


def test_an_epoch_that_another_raised_fences_even_where_the_lock_is_gone(two, place) -> None:
    first, _ = two
    first.take(0)
    first.commit([], [batch(0)])
    place.tamper("UPDATE owner SET epoch = epoch + 1")  # as behind a pooler, or after a failover
    with pytest.raises(OwnershipError, match="any more"):
        first.commit([delivered(batch(0))], [batch(0, 5)])
    assert first.in_flight() == 5
    assert first.counts()[State.DELIVERED] == 0


def test_the_deadline_counts_from_when_the_last_answered_command_was_sent(place) -> None:
    with opened(place, lease=10) as ledger:
        before = now()
        ledger.take(0)
        assert before + 9 <= ledger.deadline <= now() + 9
        assert ledger.may_send()
        place.tamper("UPDATE owner SET epoch = epoch + 1")
        with pytest.raises(OwnershipError):
            ledger.commit([], [batch(0)])
        assert not ledger.may_send()


def test_nothing_is_settled_by_hand_beside_another_process(two) -> None:
    first, second = two
    first.take(0)
    first.commit([], [batch(0)])
    first.commit([Settlement(batch(0), (Outcome(((0, 5),), State.FAILED, "bad"),))], [])
    for decide in (second.retry, lambda: second.retry({0: [(0, 2)]})):
        with pytest.raises(LedgerError, match="in flight"):
            decide()
    first.close()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert second.retry({0: [(0, 2)]}) == 2
            break
        except LedgerError:
            assert time.monotonic() < deadline
    assert second.retry() == 3


DELIVERER = """
import sys
from backfill.core.model import Batch
from backfill.ledger.postgres import PostgresLedger

ledger = PostgresLedger.open(sys.argv[1], sys.argv[2], lease=60)
ledger.take(0)
ledger.commit([], [Batch(0, 0, ((0, 5),))])
print("in flight", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_owned_is_taken_over_within_a_second(place) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DELIVERER, place.address, place.schema],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in flight\n"
        with opened(place, lease=60) as other:
            assert other.take(0) is None
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            assert take(other, 0, within=1.0) == 5


def test_a_commit_reads_no_table_from_end_to_end(place: PostgresPlace) -> None:
    """Rows that are gone stay until the database clears them away, a minute's worth of them."""

    def read_through() -> list[tuple[str, int]]:
        return ledger._session.rows(
            "SELECT relname, seq_scan FROM pg_stat_xact_user_tables"
            " WHERE schemaname = current_schema() AND relname IN ('span', 'flight') ORDER BY 1"
        )

    with opened(place) as ledger:
        ledger.take(0)
        ledger._session.rows("BEGIN")
        before = read_through()
        sent: list[Batch] = []
        for commit in range(4):
            starts = [10 * lane + commit for lane in range(64)]
            batches = [Batch(0, lane, ((at, at + 1),)) for lane, at in enumerate(starts)]
            ledger.commit([delivered(each) for each in sent], batches)
            sent = batches
        assert read_through() == before
        ledger._session.rows("ROLLBACK")
