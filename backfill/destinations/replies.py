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

__all__ = ["fault_verdict", "json_object", "status_flow", "text_of", "waits"]

_LONGEST_REASON = 500  # characters of a server's words that are kept

_STOP = frozenset({401, 402, 403, 404, 405})
_AGAIN = frozenset({408, 429, 503})
_THROTTLED = frozenset({429, 503})
_INVALID = frozenset({400, 409, 422})


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
    if status in _INVALID:
        return invalid
    if status == 413:
        return too_large
    if 400 <= status < 500:
        return other_4xx
    return Flow.AMBIGUOUS


def is_throttle(status: int) -> bool:
    """Whether the status asks us to slow down."""
    return status in _THROTTLED


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
    """Join a server's words that are there into one line of bounded length."""
    words = ": ".join(str(part) for part in parts if part not in (None, ""))
    return " ".join(words.split())[:_LONGEST_REASON]


def body_text(body: bytes) -> str:
    """The beginning of a body that is no JSON object, as one line."""
    return text_of(body[:_LONGEST_REASON].decode("utf-8", "replace"))


def waits(headers: Mapping[str, str]) -> tuple[float | None, float | None]:
    """How long the server asks us to wait: (seconds from now, seconds since the epoch).

    `retry-after-ms` is preferred as the finer of the two; `Retry-After` comes as seconds or as
    an HTTP date (RFC 9110, 10.2.3). What cannot be read counts as absent.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000, None
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds, None
    try:
        date = parsedate_to_datetime(text)
        # A date "-0000" is parsed without a zone; HTTP dates are always UTC.
        stamp = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None, None
    return None, stamp


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and value >= 0 else None


def reply_verdict(
    reply: Reply,
    flow: Flow,
    *,
    reason: str,
    request_id: str | None = None,
    bad: Mapping[int, str] | None = None,
) -> Verdict:
    """A verdict with what every reply carries: its status and how long to wait."""
    retry_after, wait_until = waits(reply.headers)
    return Verdict(
        flow,
        reason=reason,
        http_status=reply.status,
        request_id=request_id,
        bad=bad or {},
        retry_after=retry_after,
        wait_until=wait_until,
        throttled=flow is Flow.AGAIN and (reply.status < 400 or is_throttle(reply.status)),
    )
