"""Which fault stands behind the exception of any httpx transport."""

from __future__ import annotations

import httpx
import pytest

from backfill.core.model import Fault
from backfill.deliver.http.errors import TransportFault, fault_of


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (httpx.ConnectTimeout("x"), Fault.CONNECT_TIMEOUT),
        (httpx.PoolTimeout("x"), Fault.CONNECT_TIMEOUT),
        (httpx.ConnectError("x"), Fault.REFUSED),
        (httpx.UnsupportedProtocol("x"), Fault.UNREACHABLE),
        (httpx.ReadTimeout("x"), Fault.TIMEOUT),
        (httpx.WriteTimeout("x"), Fault.TIMEOUT),
        (httpx.ReadError("x"), Fault.DISCONNECTED),
        (httpx.WriteError("x"), Fault.DISCONNECTED),
        (httpx.CloseError("x"), Fault.DISCONNECTED),
        (httpx.RemoteProtocolError("x"), Fault.BROKEN_REPLY),
        (httpx.LocalProtocolError("x"), Fault.BROKEN_REPLY),
        (httpx.ProxyError("x"), Fault.BROKEN_REPLY),
        (TransportFault(Fault.TLS, "words"), Fault.TLS),
    ],
)
def test_in_doubt_the_server_was_reached(error, fault):
    assert fault_of(error) is fault


def test_a_fault_says_what_it_is():
    assert str(TransportFault(Fault.TLS, "expired")) == "TLS handshake failed: expired"
    assert str(TransportFault(Fault.TIMEOUT)) == "timed out waiting for the reply"
