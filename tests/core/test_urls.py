"""Where a credential may be sent."""

from __future__ import annotations

import pytest

from backfill.core.errors import ConfigError
from backfill.core.urls import address_of, check_base_url, is_here, same_address


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com:8443/some/path",
        "https://api.example.com:1",
        "https://api.example.com:65535",
        "https://api.example.com.",
        "https://192.0.2.7",
        "https://[2001:db8::1]:443",
        "HTTPS://API.EXAMPLE.COM",
        "http://localhost",
        "http://LOCALHOST:8080/",
        "http://127.0.0.1:8080",
        "http://127.1.2.3",
        "http://[::1]:8080",
    ],
)
def test_tls_or_this_machine(url):
    check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://localhost.example.com",
        "http://localhost.evil.example",
        "http://localhost.",
        "http://127.0.0.1.example.com",
        "http://example.com#localhost",
        "http://192.0.2.7",
        "http://0.0.0.0",
        "http://2130706433",
        "http://0x7f000001",
        "http://0x7f.0.0.1",
        "http://127.1",
        "http://0177.0.0.1",
        "http://127.0.0.1.",
        "http://127.0.0.256",
        "http://[::ffff:127.0.0.1]",
        "http://[::]",
        "http://[::1%25lo]",
        "http://[::1",
        "http://localhost@api.example.com",
        "http://api.example.com\\@localhost",
        "http://localhost\\.example.com",
        "http://localhost\t",
        "http://localhost\n",
        " http://localhost",
        "http://\uff4cocalhost",
        "http://локалхост",
        "http:localhost",
        "http:///localhost",
        "http://",
        "//localhost",
        "localhost",
        "",
        "ftp://localhost",
        "ws://localhost",
        "file:///etc/passwd",
        "https://user:secret@api.example.com",
        "https://api.example.com?key=secret",
        "https://api.example.com/#x",
        "https://api..example.com",
        "https://.example.com",
        "https://2130706433",
        "https://2130706433.",
        "https://0X7F000001",
        "https://127.1.",
        "https://api.example.com:0",
        "https://api.example.com:65536",
        "https://api.example.com:",
        "https://[not-ip]",
        "https://[1.2.3.4]",
    ],
)
def test_anything_else_is_refused_in_words(url):
    with pytest.raises(ConfigError) as raised:
        check_base_url(url)
    assert raised.value.where == "delivery.base_url"
    assert "https://api.example.com" in (raised.value.hint or "")
    assert raised.value.exit_code == 2
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:8080", True),
        ("https://localhost", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:80", True),
        ("https://localhost.example.com", False),
        ("https://127.example.com", False),
        ("https://api.pristo.io", False),
        ("what", False),
    ],
)
def test_this_machine_is_told_from_others(url, here):
    assert is_here(url) == here


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("HTTPS://API.Example.COM./v2/", "https://api.example.com"),
        ("https://api.example.com:443", "https://api.example.com"),
        ("https://api.example.com:08443/v2", "https://api.example.com:8443"),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("https://[2001:db8::1]:444", "https://[2001:db8::1]:444"),
    ],
)
def test_an_address_is_scheme_host_and_port_in_one_spelling(url, address):
    assert address_of(url) == address
    assert same_address(url, address)


def test_addresses_of_this_machine_are_one_and_no_other_is_theirs():
    here = ["http://127.0.0.1:8080", "http://localhost", "https://[::1]:9", "http://127.9.9.9"]
    assert all(same_address(one, other) for one in here for other in here)
    assert not any(same_address(one, "https://api.example.com") for one in here)
    assert not same_address("https://api.example.com", here[0])
    assert not same_address("https://api.example.com", "https://api.example.com:444")
    assert not same_address("https://a.example.com", "https://b.example.com")
