"""What a reply's headers say of the rate limit. Pure; values that make no sense are ignored.

Read are `RateLimit-Policy` and `RateLimit` of the IETF draft "RateLimit header fields for HTTP"
(draft 10: structured fields with `q`, `w`, `qu`, `pk` and `r`, `t`; drafts 7 to 9 differ little),
`RateLimit-Limit`, `-Remaining` and `-Reset` of drafts before it, and the same with `X-` before
them, whose reset is in seconds from now or since the epoch, in seconds or milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Allowance", "HintedRate", "read_allowance"]

_LONGEST = 4096  # characters of a header that are looked at
_EPOCH, _EPOCH_MS = 1e9, 1e12  # a reset above is a moment and no duration
_DAY = 86400.0
_LONGEST_WINDOW = 3600.0  # seconds; a quota of a day is no rate
_MOST = 1e7  # requests; more is no limit


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one reply said. `rate` is quota by window, in requests a second; `limit`, `remaining`
    are requests and `reset` seconds until they are there again. None where it was not said.
    """

    rate: float | None = None
    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None


def read_allowance(headers: Mapping[str, str], now: float) -> Allowance | None:
    """Read the headers of a reply, whose names are lower case; `now` is seconds since the epoch.

    None where they say nothing that could be understood.
    """
    policies = dict(_policies(headers.get("ratelimit-policy", "")))
    rates = [quota / window for quota, window in policies.values() if 0 < window <= _LONGEST_WINDOW]
    rate = min(rates, default=None)
    found = _service(headers.get("ratelimit", ""), policies)
    for prefix in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
        if found is None:
            found = _three(headers, prefix, now)
    if found is None:
        return None if rate is None else Allowance(rate)
    limit, remaining, reset = found
    return Allowance(rate, limit, remaining, reset)


_Three = tuple[float | None, float | None, float | None]
_ITEM = re.compile(r'\s*(?:"([^"\\]{0,100})"|([A-Za-z0-9_*.-]{1,100}))((?:\s*;[^,]*)?)\s*')
_PARAMETER = re.compile(r';\s*([a-z*][a-z0-9_.*-]*)\s*=\s*("[^"]*"|:[^:]*:|[^;,\s]+)')


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The members of a structured list, by name, and their parameters."""
    for part in re.findall(r'(?:"[^"]*"|:[^:]*:|[^,])+', text[:_LONGEST]):
        match = _ITEM.fullmatch(part)
        if match is not None:
            name = match[1] if match[1] is not None else match[2]
            yield name, dict(_PARAMETER.findall(match[3]))


def _policies(text: str) -> Iterator[tuple[str, tuple[float, float]]]:
    """Quota and window, in seconds, of each policy that counts requests, by name."""
    for name, given in _items(text):
        # Before draft 8 the quota was the item itself: `100;w=60`.
        quota, window = _count(given.get("q", name)), _count(given.get("w"))
        if given.get("qu", '"requests"').strip('"') == "requests" and quota and window:
            yield name, (quota, window)


def _service(text: str, policies: Mapping[str, tuple[float, float]]) -> _Three | None:
    """The tightest of the limits in a `RateLimit` header."""
    found: list[_Three] = []
    old = dict(re.findall(r"\b(limit|remaining|reset)=([0-9]+)", text[:_LONGEST]))
    if "remaining" in old:  # draft 7: `limit=100, remaining=50, reset=5`
        return _count(old.get("limit")), _count(old["remaining"]), _count(old.get("reset"))
    for name, given in _items(text):
        remaining = _count(given.get("r"))
        if remaining is not None and (not policies or name in policies):
            limit = policies[name][0] if name in policies else None
            found.append((limit, remaining, _count(given.get("t"))))
    return min(found, key=lambda each: each[1] or 0.0, default=None)


def _three(headers: Mapping[str, str], prefix: str, now: float) -> _Three | None:
    remaining = _count(headers.get(prefix + "remaining"))
    if remaining is None:
        return None
    limit = (headers.get(prefix + "limit") or "").partition(",")[0].partition(";")[0]
    reset = _count(headers.get(prefix + "reset"), most=math.inf)
    if reset is not None:
        if reset >= _EPOCH_MS:
            reset /= 1000
        if reset >= _EPOCH:
            reset -= now
        reset = reset if 0 <= reset <= _DAY else None
    return _count(limit), remaining, reset


def _count(text: str | None, *, most: float = _MOST) -> float | None:
    """A number that is not negative."""
    if text is None or not re.fullmatch(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", text.strip()):
        return None
    value = float(text)
    return value if value <= most else None


class HintedRate:
    """The rate that a server's words come to, over several replies.

    A policy's quota by its window is taken as it stands. Without one, what remains is spread over
    the time until the reset, which is right for windows; of a bucket that fills up all the time
    little is ever used, and then nothing is taken from it.
    """

    def __init__(self) -> None:
        self._longest: float | None = None  # the first reset; a shorter one shows a clock
        self._counts_down = False
        self._since: float | None = None  # when most of the limit began to be there
        self.useless = False  # whether they turned out to mean something else

    def listen(self, now: float, said: Allowance) -> float | None:
        """Requests a second that the server allows, None where its words come to no rate."""
        if said.rate is not None:
            return said.rate
        if self.useless or not said.remaining or not said.reset or not said.limit:
            return None
        if said.remaining < said.limit / 2:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > max(1.5, said.reset):
            self.useless = True
            return None
        if self._longest is None:
            self._longest = said.reset
        elif not self._counts_down:  # a window that slides is always as far from its end
            self._counts_down = said.reset < self._longest
            return None
        if said.reset <= 1:  # rounded: what remains of a window of a second is all of it
            return said.limit / said.reset if said.remaining > said.limit / 2 else None
        return said.remaining / said.reset
