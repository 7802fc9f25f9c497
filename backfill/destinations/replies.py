"""Reading replies: what all destinations share.

The status table is the same for all of them but for what a refused *batch* means, which each
destination says itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from backfill.model import Fault, Flow, Reply, Verdict
from backfill.terminal import printable

__all__ = [
    "INVALID",
    "body_text",
    "fault_verdict",
    "id_of",
    "json_object",
    "reply_verdict",
    "status_flow",
    "text_of",
    "waits",
]

INVALID = frozenset({400, 409, 422})
"""Statuses by which a server refuses what it was sent, and not who sent it."""

_LONGEST_REASON = 500  # characters of a server's words that are kept
_LONGEST_ID = 200  # characters
_LONGEST_WAIT = 10 * 365 * 86400.0  # seconds: what is longer is no answer to "when"

_STOP = frozenset({401, 402, 403, 404, 405})
_AGAIN = frozenset({408, 429, 503})
_THROTTLED = frozenset({429, 503})


def status_flow(status: int, *, invalid: Flow, too_large: Flow, other_4xx: Flow) -> Flow:
    """Read a status that is not the destination's own success.

    `invalid`, `too_large` and `other_4xx` are what 400/409/422, 413 and the remaining 4xx mean
    for the records of a request. A status that no table knows is ambiguous, never harmless.
    """
    if 200 <= status < 300:
        return Flow.UNKNOWN
    if 300 <= status < 400 or status in _STOP:
        return Flow.STOP
    if status in _AGAIN:
        return Flow.AGAIN
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
    """The body as a JSON object, or None for anything else: empty, HTML, cut off, a list."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_of(*parts: object) -> str:
    """Join a server's words that are there into one printable line of bounded length.

    Lists and objects are no words. What no terminal should be sent, and what is no valid text
    at all, is replaced.
    """
    words = ": ".join(
        str(part) for part in parts if isinstance(part, str | int | float) and part != ""
    )
    return printable(" ".join(words[: 4 * _LONGEST_REASON].split())[:_LONGEST_REASON])


def id_of(value: object) -> str | None:
    """A request id that a server gave, where it is a text."""
    return text_of(value)[:_LONGEST_ID] or None if isinstance(value, str) else None


def body_text(body: bytes) -> str:
    """The beginning of a body that is no JSON object, as one line."""
    return text_of(body[:_LONGEST_REASON].decode("utf-8", "replace"))


def waits(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """How long the server asks us to wait: (seconds from now, seconds since the epoch).

    `retry-after-ms` is preferred as the finer of the two; `Retry-After` comes as seconds or as
    an HTTP date (RFC 9110, 10.2.3). A date is read by the server's own clock, where the reply
    has a `Date`, so a clock that is wrong on either side does no harm. What cannot be read
    counts as absent.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, _LONGEST_WAIT), None
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None:
        return min(seconds, _LONGEST_WAIT), None
    until = _moment(text)
    now = _moment(headers.get("date")) if until is not None else None
    if until is None or now is None:
        return None, until
    return min(max(0.0, until - now), _LONGEST_WAIT), None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def _moment(text: str | None) -> float | None:
    """An HTTP date as seconds since the epoch."""
    try:
        date = parsedate_to_datetime(text) if text else None
        # A date "-0000" is parsed without a zone; HTTP dates are always UTC.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() if date else None
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
