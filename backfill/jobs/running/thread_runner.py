"""An event loop in a thread of its own, which an interrupt asks to halt instead of killing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from typing import Generic, TypeVar

import anyio

from backfill.core.model import StopKind
from backfill.deliver import StopRequest

__all__ = ["await_in_thread", "run_in_thread"]

_Result = TypeVar("_Result")
_EVERY = 0.5  # seconds between two looks, so that an interrupt is heard on every platform
_AWAITED = 0.05  # the same inside a loop
_LEAVING = 5.0  # seconds until what was broken off has ended, at most


def run_in_thread(function: Callable[[], Awaitable[_Result]], halt: StopRequest) -> _Result:
    """Run an async function to its end and return what it returns, or raise what it raises.

    A notebook has a loop running in the calling thread, and in a script an interrupt would
    cancel requests in flight; both are spared by a thread. The first KeyboardInterrupt goes to
    `halt`; a second one breaks off what is in flight, and is raised.
    """
    work = _Work(function)
    while True:
        try:
            work.begin()
            while not work.wait(_EVERY):
                pass
            return work.result()
        except KeyboardInterrupt:
            if halt.kind is not None:
                work.break_off()
                work.wait(_LEAVING)  # whoever goes on finds the job free
                raise
            halt.request(StopKind.INTERRUPTED)


async def await_in_thread(function: Callable[[], Awaitable[_Result]], halt: StopRequest) -> _Result:
    """The same from inside an event loop, which stays free meanwhile.

    A cancellation goes to `halt`, is held back until the function has ended, and is raised then;
    a second one, where the loop's library lets it through, breaks off what is in flight.
    """
    work = _Work(function)
    work.begin()
    try:
        await _ended(work)
    except anyio.get_cancelled_exc_class():
        halt.request(StopKind.INTERRUPTED)
        try:
            with anyio.CancelScope(shield=True):
                await _ended(work)
        except anyio.get_cancelled_exc_class():
            work.break_off()
            raise
        raise
    return work.result()


async def _ended(work: _Work[_Result]) -> None:
    # A notebook's loop hears the stop button only when it wakes up, so it is woken.
    while not work.wait(0):  # noqa: ASYNC110 - an event of anyio's cannot be set by a thread
        await anyio.sleep(_AWAITED)


class _Work(Generic[_Result]):
    """One async function, run by a loop in a thread that does not outlive the process."""

    def __init__(self, function: Callable[[], Awaitable[_Result]]) -> None:
        self._function = function
        self._results: list[_Result] = []
        self._faults: list[BaseException] = []
        self._cancel: Callable[[], object] | None = None
        # Not `Thread.join`: interrupted, it takes a thread for ended that still runs.
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backfill-run", daemon=True)

    def begin(self) -> None:
        """Start it, unless it was started already."""
        if self._thread.ident is None:
            self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait so long for its end, or until then. Returns whether it has ended."""
        return self._ended.wait(seconds)

    def break_off(self) -> None:
        """Cancel it: what is in flight is left without a reply, and becomes unknown."""
        if self._cancel is not None:
            with contextlib.suppress(RuntimeError):  # its loop has just ended
                self._cancel()

    def result(self) -> _Result:
        if self._faults:
            raise self._faults[0]
        return self._results[0]

    def _run(self) -> None:
        try:
            options = {"use_uvloop": find_spec("uvloop") is not None}
            self._results.append(anyio.run(self._cancellable, backend_options=options))
        except BaseException as error:  # noqa: BLE001 - raised again by `result`, in the caller
            self._faults.append(error)
        finally:
            self._ended.set()

    async def _cancellable(self) -> _Result:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - anyio's own loop is asyncio's
        self._cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
        return await self._function()
