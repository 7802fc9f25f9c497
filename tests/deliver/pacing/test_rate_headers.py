"""What servers say of their limits is read in every usual form, and garbage is nothing said."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.deliver.pacing.rate_headers import Allowance, HintedRate, read_allowance
from tests.deliver.pacing.limiters import Bucket, FixedWindow, Limiter, SlidingWindow
from tests.deliver.pacing.simulation import simulate

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (
            {
                "ratelimit-policy": '"burst";q=100;w=60, "daily";q=1000;w=86400',
                "ratelimit": '"burst";r=50;t=30',
            },
            Allowance(100 / 60, 100, 50, 30),
        ),
        ({"ratelimit": '"default";r=50;t=30'}, Allowance(None, None, 50, 30)),
        (
            {"ratelimit-policy": '"a";q=10;w=1;pk=:QUJD:, "b";q=300;w=60;qu="requests"'},
            Allowance(5.0),
        ),
        ({"ratelimit-policy": '"bytes";q=10;w=1;qu="content-bytes"'}, None),
        ({"ratelimit-policy": '"at-once";q=10;qu="concurrent-requests"'}, None),
        (
            {"ratelimit-policy": "100;w=10", "ratelimit": "limit=100, remaining=20, reset=4"},
            Allowance(10.0, 100, 20, 4),
        ),
        (
            {
                "ratelimit-limit": "100, 100;w=60",
                "ratelimit-remaining": "7",
                "ratelimit-reset": "9",
            },
            Allowance(None, 100, 7, 9),
        ),
        (
            {
                "x-ratelimit-limit": "60",
                "x-ratelimit-remaining": "59",
                "x-ratelimit-reset": str(int(NOW) + 30),
            },
            Allowance(None, 60, 59, 30),
        ),
        (
            {"x-ratelimit-remaining": "59", "x-ratelimit-reset": str(int(NOW + 5) * 1000)},
            Allowance(None, None, 59, 5),
        ),
        ({"x-ratelimit-remaining": "59"}, Allowance(None, None, 59, None)),
        (
            {"x-ratelimit-remaining": "59", "x-ratelimit-reset": str(int(NOW) - 30)},
            Allowance(None, None, 59, None),
        ),
    ],
)
def test_the_usual_forms_are_read(headers: dict[str, str], said: Allowance | None) -> None:
    assert read_allowance(headers, NOW) == said


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "nan", "inf", "1e9", "1" * 400, "0x10", '"', ";;;", "q=5;w=0", "٣"]
)
def test_garbage_is_nothing_said(text: str) -> None:
    for name in ("ratelimit-policy", "ratelimit", "x-ratelimit-remaining"):
        assert read_allowance({name: text}, NOW) is None


_NAMES = ("ratelimit-policy", "ratelimit", "ratelimit-limit", "x-ratelimit-limit")
_MORE = ("ratelimit-remaining", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-reset")
_TEXT = st.text('"abqrtwpk0123456789=;,:.- ', max_size=40) | st.binary(max_size=20).map(
    lambda each: each.decode("latin-1")
)


@given(st.dictionaries(st.sampled_from(_NAMES + _MORE), _TEXT))
def test_whatever_is_said_comes_to_a_finite_rate_or_none(headers: dict[str, str]) -> None:
    said = read_allowance(headers, NOW)
    if said is not None:
        rate = HintedRate().listen(0.0, said)
        assert rate is None or (math.isfinite(rate) and rate > 0)


def policy(seconds: float) -> Callable[[Limiter, float], dict[str, str]]:
    def headers(limiter: Limiter, now: float) -> dict[str, str]:
        quota = limiter.burst if isinstance(limiter, Bucket) else limiter.limit * seconds
        left, reset = limiter.left or (0.0, 0.0)
        return {
            "ratelimit-policy": f'"default";q={quota:.0f};w={seconds:.0f}',
            "ratelimit": f'"default";r={max(0.0, left):.0f};t={math.ceil(reset)}',
        }

    return headers


def three(limiter: Limiter, now: float) -> dict[str, str]:
    seconds = getattr(limiter, "seconds", 0.0)
    quota = limiter.burst if isinstance(limiter, Bucket) else limiter.limit * seconds
    left, reset = limiter.left or (0.0, 0.0)
    return {
        "x-ratelimit-limit": f"{quota:.0f}",
        "x-ratelimit-remaining": f"{max(0.0, left):.0f}",
        "x-ratelimit-reset": f"{math.ceil(reset)}",
    }


@pytest.mark.parametrize(
    ("kind", "seconds", "said"),
    [
        (FixedWindow, 1.0, "policy"),
        (SlidingWindow, 1.0, "three"),
        (FixedWindow, 10.0, "three"),
        (SlidingWindow, 10.0, "policy"),
        (FixedWindow, 60.0, "policy"),
        (SlidingWindow, 60.0, "three"),
    ],
)
def test_a_server_that_says_its_limit_is_used_at_once(
    kind: type[FixedWindow] | type[SlidingWindow], seconds: float, said: str
) -> None:
    headers = policy(seconds) if said == "policy" else three
    found = simulate(kind(150.0, seconds), requests=3_000, says_when=True, headers=headers)
    assert found.share(150.0) >= 0.94
    assert len(found.refused) <= 8


def test_a_server_that_says_too_much_is_found_out() -> None:
    lies = {"ratelimit-policy": '"default";q=600;w=1'}
    found = simulate(Bucket(150.0, 15.0), requests=9_000, says_when=True, headers=lambda *_: lies)
    assert found.share(150.0) >= 0.9
    assert found.refusals() <= 0.005


def test_a_server_that_says_too_little_is_not_left_unused_for_long() -> None:
    found = simulate(Bucket(150.0, 15.0), requests=6_000, headers=three)
    assert found.share(150.0) >= 0.9
