"""What a task costs Dask, and a commit and a draw PostgreSQL, measured on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass

from backfill.core.model import Batch, Outcome, Settlement, State, Tick
from backfill.ledger.postgres import PostgresLedger
from backfill.ledger.sharing import Report, Terms
from backfill.prepare.engines.opening import engine_on
from tests.ledger.postgres.server import PostgresServer

__all__ = ["Commits", "Database", "Scheduler", "database", "scheduler"]

_TASKS = 600
_LANES = 64
_SECONDS = 3.0
_STRIDE = 1_000_000  # positions of a lane


@dataclass(frozen=True)
class Scheduler:
    """Seconds of a task that does nothing: by the clock, and of the scheduler's processor."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Commits:
    """Commits of so many intents by so many connections at once.

    `cpu` are seconds of the database's processors for one, `latency` of one by the clock.
    """

    connections: int
    intents: int
    per_second: float
    latency: float
    cpu: float


@dataclass(frozen=True)
class Database:
    commits: list[Commits]
    draws_per_second: float
    draw_cpu: float


@dataclass(frozen=True)
class _Nothing:
    rows: int = 0


def _nothing(item: int) -> _Nothing:
    del item
    return _Nothing()


def _unheard(words: str | None) -> None:
    del words


def scheduler() -> Scheduler:
    """Tasks that do nothing, on two worker processes."""
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415

    with engine_on("local:2") as engine:
        found = [
            each
            for each in psutil.Process().children(recursive=True)
            if "scheduler" in each.cmdline()[:5]
        ]

        def used() -> float:
            return sum(sum(each.cpu_times()[:2]) for each in found)

        for count in (100, _TASKS):
            wall, cpu = time.perf_counter(), used()
            for _ in engine.run(_nothing, range(count), _unheard):
                pass
            wall, cpu = time.perf_counter() - wall, used() - cpu
    return Scheduler(wall / _TASKS, cpu / _TASKS)


def database() -> Database:
    """Commits by 1 and 4 processes, and draws on one job's budget by 4 connections."""
    server = PostgresServer()
    try:
        commits = [
            _commits(server, connections, intents)
            for intents in (1, _LANES)
            for connections in (1, 4)
        ]
        done, cpu = _together(server, 4, ["draw", "job-draws"])
        rate = sum(each["done"] / each["seconds"] for each in done)
        return Database(commits, rate, cpu / sum(each["done"] for each in done))
    finally:
        server.remove()


def _commits(server: PostgresServer, connections: int, intents: int) -> Commits:
    schema = f"job-{uuid.uuid4().hex[:8]}"
    done, cpu = _together(server, connections, ["commit", schema, str(intents)])
    number = sum(each["done"] for each in done)
    rate = sum(each["done"] / each["seconds"] for each in done)
    latency = sum(each["seconds"] for each in done) / number
    return Commits(connections, intents, rate, latency, cpu / number)


def _together(
    server: PostgresServer, count: int, given: list[str]
) -> tuple[list[dict[str, float]], float]:
    """What so many processes did against one schema at the same time, and the database's CPU."""
    PostgresLedger.open(server.address, given[1], create=True).close()
    programs = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, server.address, str(number), *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    for each in programs:
        assert each.stdout is not None
        each.stdout.readline()  # it is connected
    before = _used(server)
    for each in programs:
        assert each.stdin is not None
        each.stdin.close()
    answers = [each.stdout.read() for each in programs if each.stdout is not None]
    for each in programs:
        each.wait()
    return [json.loads(each) for each in answers], _used(server) - before


def _used(server: PostgresServer) -> float:
    """CPU seconds of the database since it was started."""
    import psutil  # noqa: PLC0415

    root = next(
        each
        for each in psutil.Process().children()
        if "postgres" in each.name() and str(server.port) in " ".join(each.cmdline())
    )
    # Of sessions that ended, the postmaster counts what they took.
    living = sum(sum(each.cpu_times()[:2]) for each in root.children())
    return float(sum(root.cpu_times()[:4]) + living)


def _commit_for(ledger: PostgresLedger, bucket: int, intents: int) -> tuple[int, float]:
    ledger.take(bucket)
    sent: list[Batch] = []
    done, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < _SECONDS:
        fresh = [
            Batch(bucket, lane, ((lane * _STRIDE + done, lane * _STRIDE + done + 1),))
            for lane in range(intents)
        ]
        settled = [Settlement(each, (Outcome(each.ranges, State.DELIVERED),)) for each in sent]
        tick = Tick(int(time.time()) // 10 * 10, sent=intents, delivered=len(sent))
        ledger.commit(settled, fresh, tick)
        sent, done = fresh, done + 1
    return done, seconds


def _draw_for(ledger: PostgresLedger) -> tuple[int, float]:
    ledger.budget.join(Terms(rate=1_000.0))
    done, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < _SECONDS:
        ledger.budget.draw(Report())
        done += 1
    return done, seconds


def main() -> None:
    """One of the processes; it begins when its standard input ends."""
    address, number, what, schema, *more = sys.argv[1:]
    with PostgresLedger.open(address, schema) as ledger:
        print("connected", flush=True)
        sys.stdin.read()
        if what == "commit":
            done, seconds = _commit_for(ledger, int(number), int(more[0]))
        else:
            done, seconds = _draw_for(ledger)
    print(json.dumps({"done": done, "seconds": seconds}))


if __name__ == "__main__":
    main()
