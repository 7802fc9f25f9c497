"""A run in a thread of its own: what it returns, raises, and does when it is cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import anyio
import pytest

from backfill.core.model import StopKind
from backfill.deliver import StopRequest
from backfill.jobs.running.thread_runner import await_in_thread, run_in_thread


class Work:
    """Runs until it is halted, and then a little longer, as a run with requests in flight does."""

    def __init__(self, halt: StopRequest) -> None:
        self.started, self.over = threading.Event(), threading.Event()
        self.ended = False
        self._halt = halt

    async def __call__(self) -> str:
        self.started.set()
        deadline = time.monotonic() + 20
        while self._halt.kind is None and time.monotonic() < deadline:  # noqa: ASYNC110 - as it is
            await anyio.sleep(0.01)
        try:
            await anyio.sleep(0.1)
            self.ended = True
        finally:
            self.over.set()
        return "done"


async def answer() -> int:
    return 42


async def fail() -> int:
    raise ValueError("as it was raised")


def test_a_result_is_returned_and_an_error_raised_as_it_was():
    assert run_in_thread(answer, StopRequest()) == 42
    with pytest.raises(ValueError, match="as it was raised"):
        run_in_thread(fail, StopRequest())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_same_from_inside_a_loop(backend):
    async def main():
        assert await await_in_thread(answer, StopRequest()) == 42
        with pytest.raises(ValueError, match="as it was raised"):
            await await_in_thread(fail, StopRequest())

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_scope_waits_until_the_work_has_ended(backend):
    halt = StopRequest()
    work = Work(halt)

    async def main():
        with anyio.move_on_after(0.1) as scope:
            await await_in_thread(work, halt)
        assert scope.cancelled_caught

    anyio.run(main, backend=backend)
    assert work.ended
    assert halt.kind is StopKind.INTERRUPTED


def test_a_cancelled_task_waits_too_and_a_second_time_is_let_go():
    async def main(times: int) -> Work:
        halt = StopRequest()
        work = Work(halt)
        task = asyncio.ensure_future(await_in_thread(work, halt))
        while not work.started.is_set():  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.02)
        with pytest.raises(asyncio.CancelledError):
            await task
        return work

    assert asyncio.run(main(1)).ended
    left = asyncio.run(main(2))
    assert not left.ended
    assert left.over.wait(5)


SCRIPT = """
import sys, threading, time
import anyio
from backfill.deliver import StopRequest
from backfill.jobs.running.thread_runner import run_in_thread
halt = StopRequest()
async def work():
    print("begun", flush=True)
    while halt.kind is None:
        await anyio.sleep(0.01)
    try:
        await anyio.sleep({after})
    finally:
        print("no more work", flush=True)
    return "ended well"
try:
    print(run_in_thread(work, halt), halt.kind.value, flush=True)
except KeyboardInterrupt:
    print("left at once", flush=True)
"""


@pytest.mark.parametrize(
    ("interrupts", "after", "said"),
    [
        (1, 0.3, "no more work\nended well interrupted\n"),
        (2, 30, "no more work\nleft at once\n"),
    ],
)
def test_a_script_that_is_interrupted_ends_well_or_at_once(interrupts, after, said):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(after=after)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    for _ in range(interrupts):
        time.sleep(0.2)  # two signals at once would be one
        os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == (said, 0)
