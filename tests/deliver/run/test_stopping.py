"""Asking a run to end, from anywhere; and why it ends."""

from __future__ import annotations

import signal
import threading

import anyio
import pytest

from backfill.core.errors import BackfillError
from backfill.core.model import Stop, StopKind
from backfill.deliver.run.stopping import StopRequest, StopState

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


class Told:
    def __init__(self) -> None:
        self.kinds: list[StopKind] = []
        self.threads: list[int] = []
        self.event = anyio.Event()

    def __call__(self, kind: StopKind) -> None:
        self.kinds.append(kind)
        self.threads.append(threading.get_ident())
        self.event.set()


async def test_a_request_from_another_thread_arrives_in_the_loop():
    halt, told = StopRequest(), Told()
    with halt.attached(told), anyio.fail_after(5):
        thread = threading.Thread(target=halt.request, args=(StopKind.INTERRUPTED,))
        thread.start()
        await told.event.wait()
        thread.join()
    assert told.kinds == [StopKind.INTERRUPTED]
    assert told.threads == [threading.get_ident()]


async def test_a_request_from_a_signal_handler_arrives():
    halt, told = StopRequest(), Told()
    before = signal.signal(signal.SIGUSR1, lambda *_: halt.request(StopKind.TERMINATED))
    try:
        with halt.attached(told), anyio.fail_after(5):
            signal.raise_signal(signal.SIGUSR1)
            await told.event.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told.kinds == [StopKind.TERMINATED]


async def test_a_request_from_before_is_honoured_and_the_first_one_counts():
    halt, told = StopRequest(), Told()
    halt.request(StopKind.TERMINATED)
    halt.request(StopKind.INTERRUPTED)
    with halt.attached(told):
        assert told.kinds == [StopKind.TERMINATED]
    assert halt.kind is StopKind.TERMINATED


async def test_after_the_run_nobody_is_told():
    halt, told = StopRequest(), Told()
    with halt.attached(told):
        pass
    halt.request(StopKind.INTERRUPTED)
    await anyio.wait_all_tasks_blocked()
    assert told.kinds == []


KINDS = list(StopKind)


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
async def test_the_first_by_precedence_is_told(first, second):
    pulls: list[bool] = []
    stop_state = StopState(lambda: pulls.append(True))
    assert not stop_state.pulled
    for kind in (first, second):
        stop_state.pull(Stop(kind, kind.value))
    assert stop_state.pulled
    assert stop_state.stop is not None
    assert stop_state.stop.kind is min(first, second, key=KINDS.index)
    assert pulls == [True, True]


async def test_of_two_reasons_of_one_kind_the_first_is_told():
    stop_state = StopState(lambda: None)
    for message in ("one", "two"):
        stop_state.pull(Stop(StopKind.UNAVAILABLE, message))
    assert stop_state.stop == Stop(StopKind.UNAVAILABLE, "one")


async def test_the_first_fault_is_kept_and_each_pulls_the_brake():
    pulls: list[bool] = []
    stop_state = StopState(lambda: pulls.append(True))
    faults = [BackfillError("one"), BackfillError("two")]
    for fault in faults:
        stop_state.fail(fault)
    assert stop_state.pulled
    assert stop_state.error is faults[0]
    assert pulls == [True, True]
