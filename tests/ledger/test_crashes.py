"""Whatever is killed, whenever, every acknowledged commit is there and each record has a state.

The state machine works on a real file. A crash leaves the database and its log as they lie; the
next process finds just these two files.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backfill.core.model import Batch, Outcome, Settlement, State
from backfill.ledger import Ledger
from backfill.ledger.postgres import PostgresLedger
from backfill.ledger.protocol import AnyLedger
from tests.ledger.places import PostgresPlace, cut
from tests.ledger.postgres.server import PostgresServer

LANES = [(bucket, lane) for bucket in (0, 1) for lane in (0, 1)]
LANE_SIZE = 12
WORDS: dict[State, list[tuple[str, int | None, str | None]]] = {
    State.DELIVERED: [("", 201, None), ("", 200, "r-1"), ("", 200, "r-2")],
    State.FAILED: [("bad", 400, "r-3"), ("worse", 422, None)],
    State.UNKNOWN: [("timed out", None, None)],
}
AT_REST = [State.DELIVERED, State.FAILED, State.UNKNOWN]


def ranges_of(positions: list[int]) -> tuple[tuple[int, int], ...]:
    ranges: list[list[int]] = []
    for position in sorted(positions):
        if ranges and ranges[-1][1] == position:
            ranges[-1][1] += 1
        else:
            ranges.append([position, position + 1])
    return tuple((start, stop) for start, stop in ranges)


class World(Protocol):
    """Where the machine's ledger lies, and what a crash leaves there."""

    def open(self, *, create: bool = False) -> AnyLedger: ...

    def after_a_crash(self, ledger: AnyLedger) -> AnyLedger:
        """The process is gone, with nothing said; another one opens what it left."""

    def end(self) -> None: ...


class SqliteWorld:
    """A file; a crash leaves it, its log and its mark as they lie."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="ledger-machine-"))
        self.lives = 0
        self.path = self._next_path()

    def _next_path(self) -> Path:
        self.lives += 1
        home = self.home / str(self.lives)
        home.mkdir()
        return home / "ledger.sqlite"

    def open(self, *, create: bool = False) -> AnyLedger:
        return Ledger.open(self.path, create=create)

    def after_a_crash(self, ledger: AnyLedger) -> AnyLedger:
        path = self._next_path()
        for suffix in ("", "-wal", "-mark"):
            there = self.path.with_name(self.path.name + suffix)
            if there.exists():
                shutil.copyfile(there, path.with_name(there.name))
        ledger.close()
        self.path = path
        return Ledger.open(path)

    def end(self) -> None:
        shutil.rmtree(self.home)


class PostgresWorld:
    """A schema; a crash cuts the connection."""

    def __init__(self, server: PostgresServer) -> None:
        self.place = PostgresPlace(server.address)

    def open(self, *, create: bool = False) -> AnyLedger:
        return self.place.open(create=create)

    def after_a_crash(self, ledger: AnyLedger) -> AnyLedger:
        assert isinstance(ledger, PostgresLedger)
        cut(ledger)
        ledger.close()
        return self.place.open()

    def end(self) -> None:
        self.place.drop()


class LedgerMachine(RuleBasedStateMachine):
    """The model is a dictionary from each position to its state."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.ledger = world.open(create=True)
        self.model = {
            (bucket, position): State.PENDING
            for bucket, lane in LANES
            for position in self._positions(lane)
        }
        self.flying: dict[tuple[int, int], Batch] = {}

    @initialize()
    def begin(self) -> None:
        assert self.ledger.recovered == 0

    def teardown(self) -> None:
        self.ledger.close()
        self.world.end()

    @staticmethod
    def _positions(lane: int) -> range:
        return range(lane * LANE_SIZE, (lane + 1) * LANE_SIZE)

    def _pending(self, key: tuple[int, int]) -> list[int]:
        bucket, lane = key
        return [p for p in self._positions(lane) if self.model[bucket, p] is State.PENDING]

    def _draw_settlement(self, data: st.DataObject, batch: Batch) -> Settlement:
        choices: list[State | None] = [None, *AT_REST]
        ends = {p: data.draw(st.sampled_from(choices)) for p in batch.positions()}
        outcomes = []
        for state in AT_REST:
            mine = [position for position, end in ends.items() if end is state]
            if mine:
                words = data.draw(st.sampled_from(WORDS[state]))
                outcomes.append(Outcome(ranges_of(mine), state, *words))
        for position, end in ends.items():
            self.model[batch.bucket, position] = end or State.PENDING
        return Settlement(batch, tuple(outcomes))

    def _draw_start(self, data: st.DataObject, key: tuple[int, int]) -> Batch | None:
        pending = self._pending(key)
        if not pending:
            return None
        size = data.draw(st.integers(1, 5))
        if data.draw(st.booleans()):
            chosen = pending[:size]
        else:
            chosen = data.draw(
                st.lists(st.sampled_from(pending), min_size=1, max_size=size, unique=True)
            )
        return Batch(*key, ranges_of(chosen))

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """Settle some of what is in flight and start something else, in one commit."""
        ending = data.draw(st.lists(st.sampled_from(LANES), unique=True))
        settled = [
            self._draw_settlement(data, self.flying.pop(key))
            for key in ending
            if key in self.flying
        ]
        started = []
        for key in data.draw(st.lists(st.sampled_from(LANES), unique=True)):
            batch = None if key in self.flying else self._draw_start(data, key)
            if batch is not None:
                started.append(batch)
        for batch in started:
            self.flying[batch.bucket, batch.lane] = batch
        self.ledger.commit(settled, started)

    def _lost(self) -> int:
        lost = 0
        for batch in self.flying.values():
            for position in batch.positions():
                self.model[batch.bucket, position] = State.UNKNOWN
                lost += 1
        self.flying.clear()
        return lost

    @rule()
    def crash(self) -> None:
        """The process is gone; its files lie where they lie, and another process opens them."""
        self._fall_over()
        assert self.ledger.recovered == self._lost()

    @rule()
    def crash_again_after_recovering(self) -> None:
        self._fall_over()
        assert self.ledger.recovered == self._lost()
        self._fall_over()
        assert self.ledger.recovered == 0

    def _fall_over(self) -> None:
        self.ledger = self.world.after_a_crash(self.ledger)

    @rule()
    def close_and_open(self) -> None:
        self.ledger.close()
        self.ledger = self.world.open()
        assert self.ledger.recovered == self._lost()

    @precondition(lambda self: not self.flying)
    @rule()
    def retry(self) -> None:
        assert self.ledger.retry() == self._move(State.FAILED, State.PENDING)

    @precondition(lambda self: not self.flying)
    @rule(to=st.sampled_from([State.PENDING, State.DELIVERED, State.FAILED]))
    def resolve(self, to: State) -> None:
        assert self.ledger.resolve(to) == self._move(State.UNKNOWN, to)

    def _move(self, state: State, to: State) -> int:
        moved = [where for where, is_in in self.model.items() if is_in is state]
        self.model.update(dict.fromkeys(moved, to))
        return len(moved)

    @invariant()
    def every_position_is_in_the_state_it_came_to(self) -> None:
        found = {}
        for bucket, outcome, _ in self.ledger.outcomes():
            for start, stop in outcome.ranges:
                for position in range(start, stop):
                    assert (bucket, position) not in found, "in one state only"
                    found[bucket, position] = outcome.state
        flying = {
            (batch.bucket, position)
            for batch in self.flying.values()
            for position in batch.positions()
        }
        assert not flying & set(found)
        assert self.ledger.in_flight() == len(flying)
        for where, state in self.model.items():
            if where not in flying:
                assert found.get(where, State.PENDING) is state

    @invariant()
    def counts_and_ranges_say_the_same(self) -> None:
        counts = self.ledger.counts()
        flying = {
            (batch.bucket, position)
            for batch in self.flying.values()
            for position in batch.positions()
        }
        at_rest = {w: s for w, s in self.model.items() if s in AT_REST and w not in flying}
        for state in AT_REST:
            assert counts[state] == sum(each is state for each in at_rest.values())
        for bucket in (0, 1):
            expected = ranges_of([position for b, position in at_rest if b == bucket])
            assert tuple(self.ledger.settled(bucket)) == expected


STEPS = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class SqliteMachine(LedgerMachine):
    def __init__(self) -> None:
        super().__init__(SqliteWorld())


def test_a_ledger_in_sqlite_keeps_to_the_model() -> None:
    run_state_machine_as_test(SqliteMachine, settings=STEPS)


def test_a_ledger_in_postgresql_keeps_to_the_model(postgres: PostgresServer) -> None:
    class PostgresMachine(LedgerMachine):
        def __init__(self) -> None:
            super().__init__(PostgresWorld(postgres))

    run_state_machine_as_test(PostgresMachine, settings=settings(STEPS, max_examples=8))


WORKER = """
import sys
from pathlib import Path
from backfill.ledger import Ledger
from backfill.core.model import Batch, Outcome, Settlement, State

ledger = Ledger.open(Path(sys.argv[1]), create=True)
size, lanes, lane_size = 3, 4, 10**6
begin = {lane: lane * lane_size for lane in range(lanes)}
for start, stop in ledger.settled(0):
    begin[start // lane_size] = stop
flying = []
while True:
    settled = [
        Settlement(batch, (Outcome(batch.ranges, State.DELIVERED, http_status=201),))
        for batch in flying
    ]
    flying = [Batch(0, lane, ((start, start + size),)) for lane, start in begin.items()]
    ledger.commit(settled, flying)
    for batch in flying:
        begin[batch.lane] += size
    print(ledger.recovered, *begin.values(), flush=True)
"""


def test_after_sigkill_every_acknowledged_commit_is_there(tmp_path: Path) -> None:
    """What was acknowledged as settled is delivered, what was in flight is unknown, once."""
    path = tmp_path / "ledger.sqlite"
    unknown = 0
    for lines in (1, 40, 3, 90):
        with subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            acknowledged = [worker.stdout.readline() for _ in range(lines)][-1]
            worker.send_signal(signal.SIGKILL)
            # What it managed to print before the signal came was acknowledged too.
            rest = [line for line in worker.stdout.read().splitlines(True) if line.endswith("\n")]
        recovered, *begun = map(int, (rest or [acknowledged])[-1].split())
        assert recovered == (12 if unknown else 0)
        unknown += 12
        with Ledger.open_readonly(path) as ledger:
            settled = dict(ledger.settled(0))
            assert ledger.in_flight() == 12, "one batch of three for each of four lanes"
            for lane, stop in enumerate(begun):
                # The last batch of each lane may be in flight; or the commit after the
                # last acknowledged one has happened, and it is settled.
                end = settled.get(lane * 10**6, lane * 10**6)
                assert end in (stop - 3, stop)
    with Ledger.open(path) as ledger:
        assert ledger.recovered == 12
        assert ledger.counts()[State.UNKNOWN] == unknown
        assert ledger.counts()[State.FAILED] == 0
