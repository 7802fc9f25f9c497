"""The network as one process has it: its requests on their way to the server that all send to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

import httpx

from backfill.core.model import Fault
from backfill.deliver.http.errors import Withheld
from tests.deliver.jobs import key_of, number_of
from tests.simulation.several.fibers import World
from tests.simulation.several.process import Process
from tests.simulation.several.witness import SharedCall, SharedWitness
from tests.simulation.world.server import Answer, Network

__all__ = ["Line", "PaceRules"]


class PaceRules(Protocol):
    """Who is told of what concerns the pace of all."""

    def begins(self, process: Process) -> None: ...

    def leaves(self, process: Process) -> None: ...

    def asked(self, process: Process, seconds: float) -> None: ...

    def withheld(self, process: Process) -> None: ...

    def too_late(self, process: Process) -> bool:
        """Whether the process was not heard of within the lease."""


class Line(httpx.AsyncBaseTransport):
    """Carries the requests of one process."""

    def __init__(
        self,
        network: Network,
        process: Process,
        *,
        world: World,
        witness: SharedWitness,
        rules: PaceRules,
        connecting: Callable[[], float],
        tell: Callable[..., None],
    ) -> None:
        self._network = network
        self._process = process
        self._world = world
        self._witness = witness
        self._rules = rules
        self._connecting = connecting
        self._tell = tell

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        process, world, witness = self._process, self._world, self._witness
        self._rules.begins(process)
        if (seconds := self._connecting()) > 0:
            await asyncio.sleep(seconds)
        process.step("leave")
        content = json.loads(await request.aread())
        items = content.get("events") or content.get("feedbacks") or [content]
        numbers = [number_of(item) for item in items]
        if not request.extensions["may_send"]():
            self._rules.withheld(process)
            self._tell(process.name, "withholds", numbers)
            raise Withheld
        if self._rules.too_late(process):
            raise witness.found("may send after its deadline", f"records {numbers}")
        process.step("looked")
        timeout = request.extensions["timeout"]["read"]
        call = SharedCall(
            numbers,
            frozenset(key_of(item) for item in items),
            world.now,
            by=process,
            stale=self._rules.too_late(process),
            timeout=timeout,
        )
        if not call.stale:
            self._rules.leaves(process)
        witness.leaves(call)
        self._tell(process.name, "leaves", numbers, "too late" if call.stale else "")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def answered(answer: Answer) -> None:
            if not future.done() and not process.dead:
                future.set_result(answer)

        self._network.begin(call, answered)
        world.after(timeout, lambda: answered(Answer("ambiguous", fault=Fault.TIMEOUT)))
        try:
            answer = await future
        except BaseException:
            witness.silent(call)
            raise
        process.step("reply")
        witness.hears(call, answer.meaning, answer.bad)
        asks = answer.asks_until - process.wall() if answer.asks_until else answer.asks
        if asks > 0:
            self._rules.asked(process, asks)
        self._tell(process.name, "hears", answer.fault or answer.status, answer.meaning, numbers)
        return self._network.response(answer)
