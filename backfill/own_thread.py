"""An event loop in a thread of its own, which an interrupt asks to halt instead of killing."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar

import anyio

from backfill.deliver import Halt
from backfill.model import StopKind

__all__ = ["run_in_own_thread"]

_Result = TypeVar("_Result")


def run_in_own_thread(function: Callable[[], Awaitable[_Result]], halt: Halt) -> _Result:
    """Run an async function to its end and return what it returns, or raise what it raises.

    A notebook has a loop running in the calling thread, and in a script an interrupt would
    cancel requests in flight; both are spared by a thread. The first KeyboardInterrupt goes to
    `halt`; a second one is raised here, and the thread is left to itself.
    """
    results: list[_Result] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            options = {"use_uvloop": find_spec("uvloop") is not None}
            results.append(anyio.run(function, backend_options=options))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller
            faults.append(error)

    thread = threading.Thread(target=work, name="backfill-run", daemon=True)
    thread.start()
    while True:
        try:
            while thread.is_alive():
                thread.join(0.5)
            break
        except KeyboardInterrupt:
            if halt.kind is not None:
                raise
            halt.request(StopKind.INTERRUPTED)
    if faults:
        raise faults[0]
    return results[0]
