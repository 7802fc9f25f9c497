"""Which fault stands behind an exception of httpx's or asyncio's: every row of the tables."""

from __future__ import annotations

import errno
import socket
import ssl

import httpx
import pytest

from backfill.core.model import Fault
from backfill.deliver.http.errors import TransportFault, connecting_fault, fault_of, unsent_fault


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
        (httpx.ProxyError("x"), Fault.PROXY),
        (TransportFault(Fault.TLS, "words"), Fault.TLS),
    ],
)
def test_in_doubt_the_server_was_reached(error, fault):
    assert fault_of(error) is fault


def test_a_fault_says_what_it_is():
    assert str(TransportFault(Fault.TLS, "expired")) == "TLS handshake failed: expired"
    assert str(TransportFault(Fault.TIMEOUT)) == "timed out waiting for the reply"


@pytest.mark.parametrize("there", [True, False])
def test_an_authority_that_is_named_and_not_there_is_told(tmp_path, monkeypatch, there):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.pem"))
    if there:
        (tmp_path / "company.pem").touch()
    assert ("SSL_CERT_FILE names no file" in connecting_fault(untrusted()).message) is not there


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] (_ssl.c:1006)")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "fault", "message"),
    [
        (socket.gaierror(-2, "Name not known"), Fault.UNRESOLVED, "Name not known"),
        (UnicodeError("label too long"), Fault.UNRESOLVED, ""),
        (untrusted(), Fault.TLS, "certificate has expired"),
        (ssl.SSLError(1, "wrong version"), Fault.TLS, "wrong version"),
        (TimeoutError(), Fault.CONNECT_TIMEOUT, ""),
        (OSError(errno.ETIMEDOUT, "Timed out"), Fault.CONNECT_TIMEOUT, "Timed out"),
        (OSError(errno.ECONNREFUSED, "Refused"), Fault.REFUSED, "Refused"),
        (OSError(errno.ENETUNREACH, "No network"), Fault.UNREACHABLE, "No network"),
        (ConnectionResetError(errno.ECONNRESET, "Reset"), Fault.UNREACHABLE, "Reset"),
        (RuntimeError("several"), Fault.UNREACHABLE, ""),
    ],
    ids=repr,
)
def test_nothing_that_goes_wrong_while_connecting_has_reached_the_server(error, fault, message):
    found = connecting_fault(error)
    assert (found.fault, found.message) == (fault, message)
    assert not found.fault.reached


def caused(by: BaseException) -> httpx.ConnectError:
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = OSError("All connection attempts failed")
    error.__cause__.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "fault", "message"),
    [
        (httpx.ConnectTimeout("x"), Fault.CONNECT_TIMEOUT, ""),
        (httpx.ReadTimeout("x"), Fault.CONNECT_TIMEOUT, ""),
        (httpx.ProxyError("407 Quoting swordfish"), Fault.PROXY, "it answered 407"),
        (httpx.ProxyError("words"), Fault.PROXY, ""),
        (caused(untrusted()), Fault.TLS, "certificate has expired"),
        (caused(socket.gaierror(-2, "Name not known")), Fault.UNRESOLVED, "Name not known"),
        (caused(OSError(errno.ECONNREFUSED, "Refused")), Fault.REFUSED, "Refused"),
        (caused(ExceptionGroup("several", [OSError()])), Fault.UNREACHABLE, ""),
        (httpx.ReadError("x"), Fault.PROXY, ""),
        (httpx.RemoteProtocolError("x"), Fault.PROXY, ""),
    ],
    ids=repr,
)
def test_what_a_proxy_said_before_a_tunnel_stood_has_reached_nobody(error, fault, message):
    found = unsent_fault(error)
    assert (found.fault, found.message) == (fault, message)
    assert not found.fault.reached
