"""Reading replies: what all destinations share.

The status table is the same for all of them but for what a refused *batch* means, which each
destination says itself.
"""

from __future__ import annotations

import codecs
import json
import math
from collections import deque
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from backfill.core.model import Fault, Flow, Reply, Verdict
from backfill.core.terminal import printable

__all__ = [
    "INVALID",
    "MOST_BODY",
    "body_text",
    "fault_verdict",
    "id_of",
    "is_words",
    "json_object",
    "reply_verdict",
    "status_flow",
    "text_of",
    "waits",
]

INVALID = frozenset({400, 409, 422})
"""Statuses by which a server refuses what it was sent, and not who sent it."""

MOST_BODY = 64 * 1024
"""Bytes of a reply's body that are kept. One of so many may be cut off, so it is never whole."""

_LONGEST_REASON = 500  # characters of a server's words that are kept
_LONGEST_ID = 200  # characters
_LONGEST_WAIT = 10 * 365 * 86400.0  # seconds: what is longer is no answer to "when"

_JSON = json.JSONDecoder()
_JSON_SPACE = " \t\n\r"

_STOP = frozenset({401, 402, 403, 404, 405})
_AGAIN = frozenset({408, 429})
_THROTTLED = frozenset({429, 503})


def status_flow(
    reply: Reply, *, own_error: bool, invalid: Flow, too_large: Flow, other_4xx: Flow
) -> Flow:
    """Read a status that is not the destination's own success.

    `invalid`, `too_large` and `other_4xx` are what 400/409/422, 413 and the remaining 4xx mean
    for the records of a request. A status that no table knows is ambiguous, never harmless.

    A 503 means "nothing was done" only where it asks to wait, or where the body is an error as
    the API itself writes it (`own_error`): routers answer 503 also when a server broke off or
    timed out after it had the request.
    """
    status = reply.status
    if 200 <= status < 300:
        return Flow.UNKNOWN
    if 300 <= status < 400 or status in _STOP:
        return Flow.STOP
    if status in _AGAIN:
        return Flow.AGAIN
    if status == 503:
        asks_to_wait = any(wait is not None for wait in waits(reply.headers))
        return Flow.AGAIN if own_error or asks_to_wait else Flow.AMBIGUOUS
    if status in INVALID:
        return invalid
    if status == 413:
        return too_large
    if 400 <= status < 500:
        return other_4xx
    return Flow.AMBIGUOUS


def fault_verdict(fault: Fault) -> Verdict:
    """A transport fault: safe to send again only where the server was never reached."""
    return Verdict(Flow.AMBIGUOUS if fault.reached else Flow.AGAIN, reason=fault.value)


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or None for anything else: empty, HTML, cut off, a list.

    It is read as UTF-8 alone: what was redacted must not be read in another encoding.
    """
    if len(body) >= MOST_BODY:
        return None
    try:
        text = body.removeprefix(codecs.BOM_UTF8).decode().strip(_JSON_SPACE)
        value, end = _JSON.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and end == len(text) else None


def text_of(*parts: object) -> str:
    """Join a server's words that are there into one printable line of bounded length.

    Lists and objects are no words. What no terminal should be sent, and what is no valid text
    at all, is replaced.
    """
    message = ": ".join(
        str(part) for part in parts if isinstance(part, str | int | float) and part != ""
    )
    return printable(" ".join(message[: 4 * _LONGEST_REASON].split())[:_LONGEST_REASON])


def id_of(value: object) -> str | None:
    """A request id that a server gave, where it is a text."""
    return text_of(value)[:_LONGEST_ID] or None if isinstance(value, str) else None


def body_text(body: bytes) -> str:
    """The beginning of a body that is no JSON object, as one line."""
    return text_of(body[:_LONGEST_REASON].decode("utf-8", "replace"))


def is_words(value: object) -> bool:
    """Whether a value of a reply is a text with something in it."""
    return isinstance(value, str) and value != ""


def waits(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """How long the server asks us to wait: (seconds from now, seconds since the epoch).

    `Retry-After` comes as seconds or as an HTTP date (RFC 9110, 10.2.3), `retry-after-ms` as
    milliseconds; of several values the longest counts. A date is read by the server's own clock,
    where the reply has a `Date`, so a clock that is wrong on either side does no harm. What
    cannot be read counts as absent.
    """
    seconds, dates = _numbers_and_dates(headers.get("retry-after"))
    seconds += [each / 1000 for each in _numbers_and_dates(headers.get("retry-after-ms"))[0]]
    _, now = _numbers_and_dates(headers.get("date")) if dates else ([], [])
    if now:
        seconds += [max(0.0, date - min(now)) for date in dates]
        dates = []
    return min(max(seconds), _LONGEST_WAIT) if seconds else None, max(dates, default=None)


def _numbers_and_dates(text: str | None) -> tuple[list[float], list[float]]:
    """The members of a list (RFC 9110, 5.6.1) that are numbers, and those that are HTTP dates.

    Dates are seconds since the epoch. One may hold a comma itself, after the name of its day.
    """
    numbers: list[float] = []
    dates: list[float] = []
    members = deque(text.split(",") if text else ())
    while members:
        member = members.popleft()
        if (number := _number(member)) is not None:
            numbers.append(number)
        elif (date := _date(member)) is not None:
            dates.append(date)
        elif members and (date := _date(f"{member},{members[0]}")) is not None:
            members.popleft()
            dates.append(date)
    return numbers, dates


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if value == math.inf and text.strip().isdecimal():
        return _LONGEST_WAIT  # of too many digits to be held, and longer than any
    return value if math.isfinite(value) and value >= 0 else None


def _date(text: str) -> float | None:
    """An HTTP date as seconds since the epoch."""
    try:
        date = parsedate_to_datetime(text)
        # A date "-0000" is parsed without a zone; HTTP dates are always UTC.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def reply_verdict(
    reply: Reply,
    flow: Flow,
    *,
    reason: str,
    request_id: str | None = None,
    bad: Mapping[int, str] | None = None,
) -> Verdict:
    """A verdict with what every reply carries: its status and how long to wait.

    Where the server had no words, the reason is its status.
    """
    if flow is Flow.DELIVERED:
        return Verdict(flow, reason=reason, http_status=reply.status, request_id=request_id)
    retry_after, wait_until = waits(reply.headers)
    return Verdict(
        flow,
        reason=reason or f"HTTP {reply.status}",
        http_status=reply.status,
        request_id=request_id,
        bad=bad or {},
        retry_after=retry_after,
        wait_until=wait_until,
        throttled=flow is Flow.AGAIN and (reply.status < 400 or reply.status in _THROTTLED),
    )
