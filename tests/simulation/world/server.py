"""The server and the network to it: everything that can happen to a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx

from backfill.core.model import Fault
from backfill.deliver.http.errors import TransportFault
from tests.deliver.jobs import key_of, number_of
from tests.simulation.checks.witness import Call, Witness
from tests.simulation.plan import Plan
from tests.simulation.world.clock import Clock
from tests.simulation.world.limiters import Limiter, limiter_of

__all__ = ["CREDENTIAL", "Answer", "Network"]

CREDENTIAL = "simulated-credential-8151"

_BEFORE = (
    Fault.REFUSED,
    Fault.UNRESOLVED,
    Fault.TLS,
    Fault.CONNECT_TIMEOUT,
    Fault.UNREACHABLE,
    Fault.PROXY,
)
_WAITS = (0.5, 3.0, 20.0, 90.0, 4000.0, 4000.0)
"""Seconds that a server asks a client to wait."""

_HEADERS = {"Content-Type": "application/json"}


@dataclass
class Answer:
    """What comes back: a status with a body, or a fault; and what a careful client makes of it."""

    meaning: str  # "yes", "nothing", "refused", "ambiguous"
    status: int = 0
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    bad: list[int] = field(default_factory=list)  # records that are refused for good
    asks: float = 0.0  # seconds of quiet, from when it is heard
    asks_until: float = 0.0  # the same as a moment, in seconds since the epoch
    cut_at: int | None = None  # bytes of the body after which the connection breaks


class _CutStream(httpx.AsyncByteStream):
    def __init__(self, body: bytes, fault: Fault) -> None:
        self._body, self._fault = body, fault

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
        raise TransportFault(self._fault)


class Network(httpx.AsyncBaseTransport):
    """Carries requests to a simulated server and answers back. `step` is called at each boundary.

    `told` hears of each answer that asks for quiet. `calm` turns every fault off.
    """

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        witness: Witness,
        *,
        step: Callable[[str], None],
        tell: Callable[..., None],
    ) -> None:
        self.calm = False
        self.asked: Callable[[float, Call], None] = lambda seconds, call: None
        self._plan = plan
        self._clock = clock
        self._witness = witness
        self._step = step
        self._tell = tell
        self._chance = plan.stream("network")
        self._out_until = 0.0
        self._credential_until = 0.0
        self._asks_again_at: float | None = None
        self._wait = -1  # of all that it may ask for, the one that it asked for last
        self._pristo = plan.destination == "pristo-events"
        chance = plan.stream("server")
        self._latency = chance.choice((0.0, 0.005, 0.05, 0.4))
        self._most = chance.choice((1, 3, 10, 50)) if self._on("too_large") else 1000
        share = chance.choice((0.02, 0.2)) if self._on("poison") else 0.0
        self._poison = {n for n in range(plan.records) if chance.random() < share}
        self._names_bad = chance.random() < 0.7
        self._asks_for_more = chance.random() < 0.5
        if self._asks_for_more and self._on("ask_wait"):
            self._asks_again_at = clock.now  # it is not well when the life begins
        self._asks_by_date = chance.random() < 0.3
        self._limiter: Limiter | None = limiter_of(chance) if self._on("throttle") else None
        self.open_calls: dict[int, tuple[Call, Callable[[], None]]] = {}
        self._number = 0

    def _on(self, fault: str) -> bool:
        return fault in self._plan.faults

    def _meets(self, fault: str, share: float = 1.0) -> bool:
        """Whether this request meets a fault."""
        if self.calm or not self._on(fault):
            return False
        return self._chance.random() < share * self._plan.intensity

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._step("leave")
        content = json.loads(await request.aread())
        items = content.get("events") or content.get("feedbacks") or [content]
        numbers = [number_of(item) for item in items]
        call = Call(numbers, frozenset(key_of(item) for item in items), self._clock.now)
        self._witness.leaves(call)
        self._tell("leaves", numbers)
        timeout = request.extensions["timeout"]["read"]
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def answered(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        self.begin(call, answered)
        self._clock.after(timeout, lambda: answered(Answer("ambiguous", fault=Fault.TIMEOUT)))
        try:
            answer = await future
        except BaseException:
            self._witness.silent(call)
            raise
        self._step("reply")
        self._witness.hears(call, answer.meaning, answer.bad)
        asks = answer.asks_until - self._clock.wall() if answer.asks_until else answer.asks
        if asks > 0:
            self.asked(asks, call)
        self._tell("hears", answer.fault or answer.status, answer.meaning, numbers)
        return self.response(answer)

    # --- the network -----------------------------------------------------------------------

    def begin(self, call: Call, answered: Callable[[Answer], None]) -> None:
        """Decide what becomes of a request on its way, and put it into the agenda."""
        chance, clock = self._chance, self._clock
        self._number += 1
        number = self._number
        there = self._latency * chance.uniform(0.5, 1.5)
        back = self._latency * chance.uniform(0.5, 1.5)
        if self._meets("outage", 0.1):
            self._out_until = clock.now + chance.choice((0.5, 5, 60, 600))
            self._tell("outage", self._out_until - clock.now)
        if self._meets("refuse_connection") or self._is_out():
            fault = chance.choice(_BEFORE)
            clock.after(there, lambda: answered(Answer("nothing", fault=fault)))
            return
        if self._meets("lose_request"):
            if chance.random() < 0.7:
                broken = Answer("ambiguous", fault=Fault.DISCONNECTED)
                clock.after(there, lambda: answered(broken))
            return
        if self._meets("late"):
            there += chance.choice((0.3, 2.0, 20.0, 200.0))
            back += chance.choice((0.0, 0.3, 40.0))
        loses = self._meets("lose_reply")
        cut = self._meets("cut_reply")

        def arrive() -> None:
            if self.open_calls.pop(number, None) is None:
                return
            answer = self._serve(call)
            if not call.waiting and self._witness.stored[call.numbers[0]]:
                self._witness.marks["stored after the client gave up"] += 1
            if loses or self._is_out():
                answer = Answer("ambiguous", fault=chance.choice(list(Fault)[6:]))
            elif cut:
                answer.cut_at = chance.randrange(0, 30)
                if answer.status < 300:
                    answer.meaning = "ambiguous"
                elif len(call.numbers) > 1:
                    answer.bad = []  # their names are cut off
            clock.after(back, lambda: answered(answer))

        self.open_calls[number] = (call, arrive)
        clock.after(there, arrive)

    def _is_out(self) -> bool:
        """Whether the network is down at this moment, which cuts off what is on its way."""
        return self._clock.now < self._out_until and not self.calm

    def client_dies(self) -> None:
        """What is on its way arrives, or does not."""
        for number, (_, arrive) in list(self.open_calls.items()):
            if self._chance.random() < 0.5:
                self._witness.marks["arrived as its client died"] += 1
                arrive()
            else:
                self.open_calls.pop(number, None)

    def response(self, answer: Answer) -> httpx.Response:
        if answer.fault is not None:
            self._witness.marks[f"no reply: {answer.fault}"] += 1
            raise TransportFault(answer.fault)
        body = b"" if answer.content is None else json.dumps(answer.content).encode()
        headers = {**_HEADERS, **answer.headers}
        if answer.cut_at is not None:
            stream = _CutStream(body[: answer.cut_at], Fault.BROKEN_REPLY)
            return httpx.Response(answer.status, headers=headers, stream=stream)
        return httpx.Response(answer.status, headers=headers, content=body)

    # --- the server ------------------------------------------------------------------------

    def _serve(self, call: Call) -> Answer:
        """A request has arrived."""
        chance, now = self._chance, self._clock.now
        if self._meets("credential", 0.1):
            self._credential_until = now + chance.choice((1, 100))
        if now < self._credential_until and not self.calm:
            return Answer("nothing", chance.choice((401, 403, 404, 302)), self._words("no"))
        if self._limiter is not None and (wait := self._limiter.refuses(now)) is not None:
            return self._throttled(wait)
        if self._meets("ask_wait", 0.7) or self._asks_again(now):
            self._wait = (
                min(self._wait + chance.choice((1, 1, 2, 3)), len(_WAITS) - 1)
                if self._asks_for_more
                else chance.randrange(len(_WAITS))
            )
            wait = _WAITS[self._wait]
            self._asks_again_at = now + wait
            return self._throttled(wait)
        if self._meets("unavailable"):
            return self._unavailable(call)
        if self._meets("server_error"):
            if chance.random() < 0.5:
                self._store(call.numbers)
            return Answer("ambiguous", chance.choice((500, 502, 504)), self._words("broken"))
        if len(call.numbers) > self._most:
            alone = call.numbers if len(call.numbers) == 1 else []
            return Answer("refused", 413, self._words("too large"), bad=alone)
        bad = [number for number in call.numbers if number in self._poison]
        if bad:
            return self._refuses(call, bad)
        self._store(call.numbers)
        if self._meets("odd_yes"):
            return Answer("ambiguous", chance.choice((200, 201, 204, 299)), {"odd": True})
        if self._pristo:
            content = {"ok": True, "status": 201, "statusText": "Created", "body": None, "raw": ""}
            return Answer("yes", 201, content)
        return Answer("yes", 200, {"status": "success", "request_id": f"r{call.at:.3f}"})

    def _store(self, numbers: list[int]) -> None:
        self._witness.stores(numbers)
        self._tell("stores", numbers)

    def _asks_again(self, now: float) -> bool:
        """One that has asked for a wait is seldom well as soon as it is over."""
        at = self._asks_again_at
        if self.calm or at is None or now < at:
            return False
        self._asks_again_at = None
        again = self._chance.random() < 0.9
        self._witness.marks["told to wait again right after a wait"] += again and self._wait >= 0
        self._wait = self._wait if again else -1
        return again

    def _throttled(self, wait: float) -> Answer:
        """Told to slow down, in one of the ways in which servers say so."""
        chance = self._chance
        how = 1 if self._asks_by_date and chance.random() < 0.9 else chance.randrange(5)
        if how == 0 or wait <= 0:
            return Answer("nothing", 429, self._words("slow down"))
        if how == 1:
            at = int(self._clock.wall() + wait) + 1
            headers = {"Retry-After": formatdate(at, usegmt=True)}
            return Answer("nothing", 429, self._words("wait"), headers, asks_until=at)
        if how == 2:
            headers = {"retry-after-ms": str(int(wait * 1000))}
            asks = int(wait * 1000) / 1000
        else:
            headers = {"Retry-After": f"{wait:.3f}"}
            asks = float(f"{wait:.3f}")
        status = 503 if how == 4 else 429
        return Answer("nothing", status, self._words("slow down"), headers, asks=asks)

    def _unavailable(self, call: Call) -> Answer:
        """The server has no time, or a proxy before it says so, whatever the server did."""
        chance = self._chance
        if self._pristo and chance.random() < 0.3:
            inner = chance.choice((429, 503))
            return Answer("nothing", 201, {"ok": False, "status": inner, "statusText": "later"})
        if chance.random() < 0.3:
            return Answer("nothing", 408, self._words("timed out"))
        if chance.random() < 0.5:
            self._store(call.numbers)
        self._witness.marks["a proxy gave up on the server"] += 1
        return Answer("ambiguous", 503, chance.choice((None, "upstream connect error")))

    def _refuses(self, call: Call, bad: list[int]) -> Answer:
        """Some records are no good; the server names them, or does not."""
        if self._pristo and self._chance.random() < 0.3:
            content = {"ok": False, "status": 400, "statusText": "Bad Request"}
            return Answer("refused", 201, content, bad=bad)
        named = bad if self._names_bad else []
        items = "events" if self._plan.destination == "watch-events" else "feedbacks"
        details = [
            {"path": f"{items}.{call.numbers.index(number)}.target", "message": "is no good"}
            for number in named
        ]
        content = {**self._words("invalid"), "details": details}
        final = named or (bad if len(call.numbers) == 1 else [])
        return Answer("refused", self._chance.choice((400, 422)), content, bad=final)

    def _words(self, text: str) -> dict[str, Any]:
        """An error as the API writes it; a careless server repeats the credential."""
        said = f"{text} ({CREDENTIAL})" if self._meets("echo", 3.0) else text
        words = {"code": "error", "message": said, "type": "error"}
        return {"error": words} if self._pristo else words
