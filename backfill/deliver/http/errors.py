"""What can go wrong between here and the server, in httpx's terms and then in ours."""

from __future__ import annotations

import httpx

from backfill.core.model import Fault

__all__ = ["TransportFault", "fault_of"]


class TransportFault(httpx.TransportError):
    """No complete response came back. `fault` says why, and so whether the server was reached."""

    def __init__(self, fault: Fault, message: str = "") -> None:
        self.fault = fault
        self.message = message
        super().__init__(f"{fault.value}: {message}" if message else fault.value)


# From the special to the general. httpx's names alone are coarser than a TransportFault: they
# do not tell a refused connection from an unknown host. A type that is not listed may have
# reached the server.
_BY_TYPE: tuple[tuple[type[httpx.TransportError], Fault], ...] = (
    (httpx.ConnectTimeout, Fault.CONNECT_TIMEOUT),
    (httpx.PoolTimeout, Fault.CONNECT_TIMEOUT),
    (httpx.TimeoutException, Fault.TIMEOUT),
    (httpx.ConnectError, Fault.REFUSED),
    (httpx.UnsupportedProtocol, Fault.UNREACHABLE),
    (httpx.NetworkError, Fault.DISCONNECTED),
)


def fault_of(error: httpx.TransportError) -> Fault:
    """The fault behind an exception of any httpx transport; ambiguous where in doubt."""
    if isinstance(error, TransportFault):
        return error.fault
    return next((fault for kind, fault in _BY_TYPE if isinstance(error, kind)), Fault.BROKEN_REPLY)
