"""What goes wrong around a run. Each mishap starts processes and sees to how they end.

A mishap returns whether it struck: a run may be over before it gets to it.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from backfill.core.job_files import LEDGER
from backfill.jobdir.lock import locked
from tests.chaos.program import Process, faketime, offline
from tests.promises import Finding

if TYPE_CHECKING:
    from tests.chaos.rounds import Round

__all__ = ["MISHAPS", "kill_plan", "plan_on_a_full_disk"]

_DAY = 86_400


# --- ends of a process -----------------------------------------------------------------------


def kill_plan(now: Round) -> bool:
    """SIGKILL while the job is prepared: there is a whole job afterwards, or none."""
    process = now.start("plan")
    time.sleep(now.chance.uniform(0.4, 1.6))
    struck = process.send(signal.SIGKILL)
    process.end()
    return struck


def kill(now: Round) -> bool:
    """SIGKILL while requests are in flight."""
    process = now.start()
    now.wait_for_traffic(process)
    return _kill(now, process)


def kill_while_opening(now: Round) -> bool:
    """SIGKILL as the ledger is opened, which may be while it is being put in order."""
    before = _log_of(now)
    process = now.start()
    while process.running and _log_of(now) == before:
        time.sleep(0.001)
    time.sleep(now.chance.choice((0.0, 0.0, 0.002, 0.01, 0.05)))
    return _kill(now, process)


def kill_twice(now: Round) -> bool:
    """SIGKILL in the course of a run, and again as the next one puts things in order."""
    return kill(now) and kill_while_opening(now)


def _kill(now: Round, process: Process) -> bool:
    struck = process.send(signal.SIGKILL)
    now.crashes += struck
    process.end()
    return struck


def _log_of(now: Round) -> tuple[int, int]:
    with contextlib.suppress(OSError):
        found = (now.plan.directory / f"{LEDGER}-wal").stat()
        return found.st_size, found.st_mtime_ns
    return 0, 0


def interrupt(now: Round) -> bool:
    """SIGINT or SIGTERM: what is in flight is finished and recorded, nothing is unknown for it."""
    number, code = now.chance.choice(((signal.SIGINT, 130), (signal.SIGTERM, 143)))
    process = now.start()
    now.wait_for_traffic(process)
    struck = process.send(number)
    ended = process.end()
    if ended.code == -number:
        return False  # it came so late that the run was over
    if ended.code != code:
        now.right_end(ended)
        return False
    if f"backfill run {now.plan.config}" not in (ended.json["next"] or ""):
        raise Finding(f"an interrupted run does not say how it goes on: {ended.json['next']}")
    return struck


def interrupt_twice(now: Round) -> bool:
    """A second SIGINT leaves at once."""
    process = now.start()
    now.wait_for_traffic(process)
    process.send(signal.SIGINT)
    time.sleep(now.chance.uniform(0.0, 0.05))
    struck = process.send(signal.SIGINT)
    now.crashes += struck
    ended = process.end()
    if ended.code not in (130, -signal.SIGINT):
        now.right_end(ended)
    return struck


def freeze(now: Round) -> bool:
    """The laptop sleeps for some seconds, and wakes up with dead connections."""
    process = now.start()
    now.wait_for_traffic(process)
    struck = process.send(signal.SIGSTOP)
    time.sleep(now.chance.uniform(0.5, 3.0))
    process.send(signal.SIGCONT)
    _end(now, process)
    return struck


def _end(now: Round, process: Process) -> None:
    """Let a run go on, to its end or until it is interrupted, so that something is left to do."""
    if now.chance.random() < 0.7:
        time.sleep(now.chance.uniform(0.2, 0.8))
        process.send(signal.SIGINT)
    now.right_end(process.end(), 130)


def limit(now: Round) -> bool:
    """A run that is to stop after so many records does."""
    before = now.books()["records"]
    most = now.chance.randint(1, 3 * now.plan.batch + 20)
    ended = now.start("run", "--limit", str(most)).end()
    now.right_end(ended, 8)
    if ended.code != 8:
        return False
    after = ended.json["records"]
    sent = sum(after[state] - before[state] for state in ("delivered", "failed", "unknown"))
    # What an earlier run left in flight is unknown only now, and was not sent by this one.
    if sent > most + now.in_flight_at_most:
        raise Finding(f"a run limited to {most} records settled {sent}")
    return True


# --- network ---------------------------------------------------------------------------------


def outage(now: Round) -> bool:
    """The server is gone in mid-run: connections are cut, and then refused."""
    process = now.start()
    now.wait_for_traffic(process)
    now.world.close()
    now.cuts += 1
    lasts = now.chance.choice((0.2, 0.6, 4.0))
    began = time.monotonic()
    while process.running and time.monotonic() - began < lasts:
        time.sleep(0.02)
    now.world.open()
    _end(now, process)
    return True


def black_hole(now: Round) -> bool:
    """Packets vanish: no answer comes, and no refusal either."""
    process = now.start()
    now.wait_for_traffic(process)
    now.world.block()
    now.cuts += 1
    time.sleep(now.chance.uniform(0.3, 2.0))
    interrupted = now.chance.random() < 0.5 and process.send(signal.SIGINT)
    time.sleep(0.3)
    now.world.unblock()
    if interrupted:  # a second one would leave at once
        now.right_end(process.end(), 130)
    else:
        _end(now, process)
    return True


def no_network(now: Round) -> bool:
    """A machine without any network sends nothing and loses nothing."""
    prefix = offline()
    if not prefix:
        now.skip("no_network", "`unshare -n` is not allowed here")
        return False
    before = now.books()["records"]
    ended = now.start(prefix=prefix).end()
    now.right_end(ended, 7)
    if ended.code == 7 and ended.json["records"] != before:
        raise Finding(f"without a network {before} became {ended.json['records']}")
    return ended.code == 7


# --- disk ------------------------------------------------------------------------------------


def plan_on_a_full_disk(now: Round) -> bool:
    """Where there is no room for the job, plan says so and leaves nothing behind."""
    if now.disk is None:
        return False
    with now.disk.full(spare=now.chance.choice((0, 8, 40)) * 1024):
        ended = now.start("plan").end()
    if ended.code == 0:
        return False
    if ended.code != 1 or "space" not in ended.err:
        raise Finding(f"a plan on a full disk ended with {ended.code}: {ended.err}")
    if (now.plan.directory / "manifest.json").exists():
        raise Finding("a plan that found no room left a manifest behind")
    return True


def full_disk(now: Round) -> bool:
    """No room for the ledger in mid-run: the run ends and says so."""
    process = now.start()
    now.wait_for_traffic(process)
    now.crashes += 1
    if now.disk is None:
        # A quota on the size of files meets the ledger's log as a full disk does.
        try:
            room = _log_of(now)[0] + now.chance.choice((0, 100, 5_000))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, room))
        except ProcessLookupError:
            pass
        ended = process.end()
    else:
        with now.disk.full(spare=now.chance.choice((0, 4, 16)) * 1024):
            ended = process.end()
            looked = now.start("status").end()
            if looked.code not in (0, 1):
                raise Finding(f"status on a full disk ended with {looked.code}: {looked.err}")
    if ended.code == 1 and "disk" in ended.err:
        return True
    now.right_end(ended)
    return False


def read_only(now: Round) -> bool:
    """A disk that can only be read: run says so, and status still tells the books."""
    if now.disk is None:
        now.skip("read_only", "no disk of its own: root may write wherever it is mounted")
        return False
    before = now.books()["records"]
    with now.disk.read_only():
        ended = now.start().end()
        looked = now.start("status").end()
    if ended.code != 1 or "writ" not in ended.err:
        raise Finding(f"a run on a read-only disk ended with {ended.code}: {ended.err}")
    if looked.code != 0 or looked.json["records"] != before:
        raise Finding(f"status on a read-only disk ended with {looked.code}: {looked.err}")
    return True


# --- other processes, and the clock ----------------------------------------------------------


def ledger_held(now: Round) -> bool:
    """Another program holds the ledger: for a moment it is waited for, for long it is named."""
    process = now.start()
    now.wait_for_traffic(process)
    long = now.chance.random() < 0.3
    with contextlib.closing(sqlite3.connect(now.plan.directory / LEDGER, timeout=2)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            now.right_end(process.end())
            return False
        if long:
            now.crashes += 1
        began = time.monotonic()
        while process.running and time.monotonic() - began < (9.0 if long else 1.0):
            time.sleep(0.02)
        other.execute("ROLLBACK")
    if not long:
        _end(now, process)
        return True
    ended = process.end()
    if long and ended.code == 1 and "another process" in ended.err:
        return True
    now.right_end(ended)
    return False


def job_held(now: Round) -> bool:
    """Another process works on the job."""
    with locked(now.plan.directory, "run"):
        ended = now.start().end()
    if ended.code != 11:
        raise Finding(f"a run beside another one ended with {ended.code}: {ended.err}")
    return True


def look_on(now: Round) -> bool:
    """Looking at a running job sees balanced books and disturbs nothing."""
    process = now.start()
    now.wait_for_traffic(process)
    for _ in range(2):
        seen = now.start("status").end()
        if seen.code != 0:
            raise Finding(f"status beside a run ended with {seen.code}: {seen.err}")
        now.balanced(seen.json)
    _end(now, process)
    return True


def clock(now: Round) -> bool:
    """The clock jumps by seconds or by a day, forward or back, in the middle of a run."""
    environment = faketime(now.plan.place)
    if environment is None:
        now.skip("clock", "libfaketime is not installed")
        return False
    process = now.start(env=environment)
    now.wait_for_traffic(process)
    jump = now.chance.choice((-_DAY, -5, 5, _DAY))
    (now.plan.place / "clock").write_text(f"{jump:+}")
    time.sleep(1.0)  # until the jump is seen
    _end(now, process)
    return True


# --- decisions by hand -----------------------------------------------------------------------


def resend(now: Round) -> bool:
    """Unknown records are sent again because somebody says so; these may arrive twice."""
    unknown = now.uids("unknown")
    ended = now.start("resolve", "--resend").end()
    if ended.code != 0:
        raise Finding(f"resolve ended with {ended.code}: {ended.err}")
    now.resent |= unknown
    return bool(unknown)


def retry(now: Round) -> bool:
    """Failed records are tried again."""
    failed = now.uids("failed")
    ended = now.start("retry").end()
    if ended.code != 0:
        raise Finding(f"retry ended with {ended.code}: {ended.err}")
    now.retried |= failed
    return bool(failed)


MISHAPS: tuple[tuple[Callable[[Round], bool], float], ...] = (
    (kill, 4),
    (kill_while_opening, 3),
    (kill_twice, 3),
    (interrupt, 2),
    (interrupt_twice, 1),
    (freeze, 1),
    (limit, 1),
    (outage, 2),
    (black_hole, 1),
    (no_network, 0.7),
    (full_disk, 2),
    (read_only, 1),
    (ledger_held, 1),
    (job_held, 0.5),
    (look_on, 0.7),
    (clock, 1.5),
    (resend, 0.6),
    (retry, 0.6),
)
"""Each mishap with its weight."""
