"""What can go wrong between here and the server, in the libraries' terms and then in ours."""

from __future__ import annotations

import os
import re
import socket
import ssl
from pathlib import Path

import httpx

from backfill.core.model import Fault

__all__ = ["TransportFault", "Withheld", "connecting_fault", "fault_of", "unsent_fault"]


class TransportFault(httpx.TransportError):
    """No complete response came back. `fault` says why, and so whether the server was reached."""

    def __init__(self, fault: Fault, message: str = "") -> None:
        self.fault = fault
        self.message = message
        super().__init__(f"{fault.value}: {message}" if message else fault.value)


class Withheld(httpx.TransportError):
    """The request was not sent: the connection stood, and then it might not be sent any more."""

    def __init__(self) -> None:
        super().__init__("withheld right before it was sent")


# In both tables: from the special to the general; the first that fits counts.

# What asyncio raises while it opens a connection. Nothing was sent yet, whatever it is.
_CONNECTING: tuple[tuple[type[Exception], Fault], ...] = (
    (socket.gaierror, Fault.UNRESOLVED),
    (ssl.SSLError, Fault.TLS),
    (UnicodeError, Fault.UNRESOLVED),  # no name that DNS could know
    (TimeoutError, Fault.CONNECT_TIMEOUT),
    (ConnectionRefusedError, Fault.REFUSED),
    (Exception, Fault.UNREACHABLE),
)

# What any httpx transport raises. Its names alone are coarser than a TransportFault: they do not
# tell a refused connection from an unknown host. A type that is not listed may have reached the
# server.
_BY_TYPE: tuple[tuple[type[httpx.TransportError], Fault], ...] = (
    (httpx.ConnectTimeout, Fault.CONNECT_TIMEOUT),
    (httpx.PoolTimeout, Fault.CONNECT_TIMEOUT),
    (httpx.TimeoutException, Fault.TIMEOUT),
    (httpx.ConnectError, Fault.REFUSED),
    (httpx.UnsupportedProtocol, Fault.UNREACHABLE),
    (httpx.ProxyError, Fault.PROXY),
    (httpx.NetworkError, Fault.DISCONNECTED),
)


def connecting_fault(error: Exception) -> TransportFault:
    """The fault behind an exception of asyncio's from before a connection stood."""
    fault = next(fault for kind, fault in _CONNECTING if isinstance(error, kind))
    message = ""
    if isinstance(error, ssl.SSLCertVerificationError):
        message = error.verify_message
        if (named := os.environ.get("SSL_CERT_FILE")) and not Path(named).is_file():
            message += "; SSL_CERT_FILE names no file"
    elif isinstance(error, OSError):
        message = error.strerror or ""
    return TransportFault(fault, message)


def unsent_fault(error: httpx.TransportError) -> TransportFault:
    """The fault behind an exception of httpx's from before a tunnel stood and a request was sent.

    What a proxy says for itself is not quoted, but for its status.
    """
    if isinstance(error, httpx.TimeoutException):
        return TransportFault(Fault.CONNECT_TIMEOUT)
    if isinstance(error, httpx.ProxyError):
        status = re.match("[1-5][0-9]{2}", str(error))
        return TransportFault(Fault.PROXY, f"it answered {status[0]}" if status else "")
    first: OSError | None = None  # where it began: anyio words several attempts as one
    cause: BaseException | None = error
    while cause is not None:
        first = cause if isinstance(cause, OSError) else first
        cause = cause.__cause__ or cause.__context__
    return connecting_fault(first) if first is not None else TransportFault(Fault.PROXY)


def fault_of(error: httpx.TransportError) -> Fault:
    """The fault behind an exception of any httpx transport; ambiguous where in doubt."""
    if isinstance(error, TransportFault):
        return error.fault
    return next((fault for kind, fault in _BY_TYPE if isinstance(error, kind)), Fault.BROKEN_REPLY)
