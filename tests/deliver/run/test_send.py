"""One request, whole for any transport, and the answer to it."""

from __future__ import annotations

import httpx
import pytest

from backfill.core.model import Fault, Flow
from backfill.core.secret import Secret
from backfill.deliver.http.errors import TransportFault
from backfill.deliver.run.send import Answer, Sender
from backfill.destinations import destination

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


class Failing(httpx.AsyncBaseTransport):
    def __init__(self, error: Exception) -> None:
        self.error = error
        self.request: httpx.Request | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        raise self.error


def sender(transport: httpx.AsyncBaseTransport) -> Sender:
    return Sender(
        transport,
        destination("watch-events"),
        base_url="https://api.example.com/",
        population=None,
        credential=Secret("hunter2"),
        timeout=7.0,
    )


async def sent(transport: httpx.AsyncBaseTransport, size: int) -> Answer:
    """What comes of a request of `size` records."""
    made = sender(transport)
    return await made.send(made.request("key", [b"{}"] * size), size)


async def test_a_fault_is_an_answer():
    answer = await sent(Failing(httpx.ReadTimeout("x")), 1)
    assert answer.reply is Fault.TIMEOUT
    assert answer.seconds >= 0


async def test_a_fault_that_has_words_keeps_them():
    fault = TransportFault(Fault.UNRESOLVED, "no such name")
    answer = await sent(Failing(fault), 1)
    assert answer.reply is Fault.UNRESOLVED
    assert answer.verdict.flow is Flow.AGAIN
    assert answer.verdict.reason.endswith(": no such name")


async def test_a_fault_of_the_program_is_none():
    with pytest.raises(ZeroDivisionError):
        await sent(Failing(ZeroDivisionError()), 1)


async def test_a_request_is_whole_for_any_transport():
    transport = Failing(httpx.ConnectError("x"))
    await sent(transport, 2)
    request = transport.request
    assert request is not None
    assert request.method == "POST"
    assert str(request.url) == "https://api.example.com/v2/watch/event"
    assert request.headers["host"] == "api.example.com"
    assert request.headers["authorization"] == "Bearer hunter2"
    assert request.headers["content-length"] == "18"
    assert request.headers["user-agent"].startswith("backfill/")
    assert request.headers["accept-encoding"] == "identity"
    assert await request.aread() == b'{"events":[{},{}]}'
    assert request.extensions["timeout"]["read"] == 7.0
    assert "hunter2" not in repr(request) + repr(request.headers)
