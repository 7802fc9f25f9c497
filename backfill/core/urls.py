"""Addresses: where a credential may be sent, and which URLs lead to one and the same server."""

from __future__ import annotations

import ipaddress
import re

from backfill.core.errors import ConfigError

__all__ = ["address_of", "check_base_url", "is_here", "same_address"]

# Narrower than what a URL may be, so that no two parsers can read different hosts in it.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~%/-]*)?"
)
_PORTS = {"http": "80", "https": "443"}
_EXAMPLE = "It looks like https://api.example.com."


def check_base_url(url: str) -> None:
    """Refuse an address to which no credential may be sent.

    It must be https, or http with a host that can be nothing but this machine: `localhost`,
    127.0.0.0/8 or [::1]. A name that merely resolves to this machine today is not enough, nor
    are the forms of an address that only some programs understand. The address itself is not
    in the message where it may hold a secret. Raises ConfigError.
    """
    if "@" in url:
        raise _refusal("the address holds a user name or a password, or an `@` at any rate")
    match = _URL.fullmatch(url)
    if match is None:
        raise _refusal("the address is not one that backfill understands")
    scheme, host = match["scheme"].lower(), match["host"].lower()
    if scheme not in ("http", "https"):
        raise _refusal(f"{scheme}:// is neither https nor http")
    if match["port"] is not None and not 0 < int(match["port"]) < 65536:
        raise _refusal(f"there is no port {match['port']}")
    _address(host)
    if scheme == "http" and not is_here(url):
        raise _refusal(
            f"http://{host} is not this machine, and a credential is sent to others over https only"
        )


def is_here(url: str) -> bool:
    """Whether an address that `check_base_url` lets pass can be nothing but this machine."""
    match = _URL.fullmatch(url)
    if match is None:
        return False
    host = match["host"].lower()
    return host == "localhost" or _is_this_machine(_address(host))


def address_of(url: str) -> str:
    """Scheme, host and port of a `base_url` that `check_base_url` lets pass, in one spelling."""
    match = _URL.fullmatch(url)
    if match is None:
        raise _refusal("the address is not one that backfill understands")
    scheme, host = match["scheme"].lower(), match["host"].lower().rstrip(".")
    port = str(int(match["port"])) if match["port"] else _PORTS.get(scheme)
    return f"{scheme}://{host}" + ("" if port == _PORTS.get(scheme) else f":{port}")


def same_address(one: str, other: str) -> bool:
    """Whether two base URLs are one address. All addresses of this machine are: the rehearsal."""
    if is_here(one) or is_here(other):
        return is_here(one) and is_here(other)
    return address_of(one) == address_of(other)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The numeric address, or None for a name. Raises ConfigError for neither."""
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise _refusal(f"{host} is no IPv6 address") from None
    last = host.rstrip(".").rpartition(".")[2]
    # Some programs read 2130706433, 0x7f000001 and 127.1 as addresses, others as names.
    if re.fullmatch("[0-9]+|0x[0-9a-f]*", last):
        try:
            return ipaddress.IPv4Address(host)
        except ValueError:
            raise _refusal(f"{host} is no IPv4 address of four numbers") from None
    if any(not label for label in host.removesuffix(".").split(".")):
        raise _refusal(f"{host} is no host name")
    return None


def _is_this_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_loopback
    return address == ipaddress.IPv6Address("::1")


def _refusal(message: str) -> ConfigError:
    return ConfigError(message, where="delivery.base_url", hint=_EXAMPLE)
