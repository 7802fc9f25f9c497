"""The rate limit lets through what it says and tells truly when to come back."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.errors import ConfigError
from backfill.sandbox.limit import Allowance, parse_rate_limit, retry_headers


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50/s", 50),
        ("3000/min", 50),
        (" 90 / m ", 1.5),
        ("7200/hour", 2),
        (12.5, 12.5),
        (None, None),
    ],
)
def test_rates_are_read(text, rate):
    assert parse_rate_limit(text) == rate


@pytest.mark.parametrize("text", ["50", "fast", "0/s", "-1/s", "50/day", 0, -3.0])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ConfigError, match="no rate"):
        parse_rate_limit(text)


@settings(max_examples=50, deadline=None)
@given(
    rate=st.floats(0.5, 500),
    burst=st.floats(1, 50),
    steps=st.lists(st.floats(0, 0.5), min_size=1, max_size=200),
)
def test_never_more_than_burst_plus_rate_and_a_served_wait_is_enough(rate, burst, steps):
    now = 0.0
    allowance = Allowance(rate, burst, lambda: now)
    taken = 0
    for step in steps:
        now += step
        wait = allowance.take()
        assert wait >= 0
        taken += wait == 0
        assert taken <= burst + rate * now + 1e-6
    wait = allowance.take()
    if wait:
        now += wait
        assert allowance.take() == 0


def test_waits_are_rounded_so_that_nobody_comes_too_early():
    assert retry_headers(1.2, "seconds") == {"Retry-After": "2"}
    assert retry_headers(1.2, "milliseconds") == {"retry-after-ms": "1200"}
    assert retry_headers(1.2, "none") == {}
    date = parsedate_to_datetime(retry_headers(30, "date")["Retry-After"])
    assert date.tzinfo is not None
