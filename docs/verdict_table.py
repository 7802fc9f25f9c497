"""What each answer means for the records of its request, asked of the destinations themselves."""

from __future__ import annotations

from backfill.core.model import Fault, Flow, Reply
from backfill.destinations import destination

__all__ = ["verdict_table"]

_WATCH_YES = b'{"status": "success", "request_id": "3d0c5f0e"}'
_PRISTO_YES = b'{"ok": true, "status": 200, "statusText": "OK", "raw": ""}'
_PRISTO_NO = b'{"ok": false, "status": 422, "statusText": "no", "raw": ""}'
_PRISTO_SLOW = b'{"ok": false, "status": 429, "statusText": "slow down", "raw": ""}'
_WATCH_ERROR = b'{"code": "unavailable", "message": "Later.", "type": "unavailable"}'
_PRISTO_ERROR = b'{"error": {"code": "unavailable", "message": "Later."}}'

# What came back, in words, and an answer to Watch and to Pristo that is an example of it; where
# several are given, they must all mean the same.
_Answers = tuple[Reply | Fault, ...]
_ROWS: tuple[tuple[str, _Answers, _Answers], ...] = (
    (
        "the documented success",
        (Reply(200, body=_WATCH_YES),),
        (Reply(201, body=_PRISTO_YES),),
    ),
    ("Pristo's 201 with `ok: false`", (), (Reply(201, body=_PRISTO_NO),)),
    ("the same, with 429 or 503 inside", (), (Reply(201, body=_PRISTO_SLOW),)),
    (
        "any other 2xx, or a success whose body cannot be read",
        (Reply(202), Reply(200, body=b"<html>")),
        (Reply(202), Reply(201, body=b"<html>")),
    ),
    ("3xx", (Reply(301), Reply(307)), (Reply(301), Reply(307))),
    *(
        (words, tuple(map(Reply, statuses)), tuple(map(Reply, statuses)))
        for words, statuses in (
            ("400, 409, 422", (400, 409, 422)),
            ("401, 402, 403, 404, 405", (401, 402, 403, 404, 405)),
            ("408, 429", (408, 429)),
            ("413", (413,)),
            ("any other 4xx", (410, 418, 451)),
            ("500, 502, 504 and other 5xx", (500, 502, 504, 507)),
        )
    ),
    (
        "503 with a readable `Retry-After`, or with an error as the API itself writes it",
        (Reply(503, {"retry-after": "5"}), Reply(503, body=_WATCH_ERROR)),
        (Reply(503, {"retry-after": "5"}), Reply(503, body=_PRISTO_ERROR)),
    ),
    (
        "any other 503, such as a proxy's",
        (Reply(503), Reply(503, body=b"<html>"), Reply(503, body=_PRISTO_ERROR)),
        (Reply(503), Reply(503, body=b"<html>"), Reply(503, body=_WATCH_ERROR)),
    ),
    *(
        (words, faults, faults)
        for words, faults in (
            (
                "never reached: connection refused, no such host, TLS, timeout while connecting,"
                " no tunnel through a proxy",
                tuple(fault for fault in Fault if not fault.reached),
            ),
            (
                "timeout, disconnect or a broken reply after the request began",
                tuple(fault for fault in Fault if fault.reached),
            ),
        )
    ),
)

_WORDS = {
    Flow.DELIVERED: "`delivered`",
    Flow.FAILED: "`failed`",
    Flow.ISOLATE: "the bad records are found and `failed`, the others sent again",
    Flow.SPLIT: "sent again in halves; a single record is `failed`",
    Flow.AGAIN: "sent again later",
    Flow.AMBIGUOUS: "`unknown`; sent again under at-least-once",
    Flow.UNKNOWN: "`unknown`",
    Flow.STOP: "the run stops (exit 6); the records stay `pending`",
}


def verdict_table() -> str:
    """What came back, and what it means for either vendor."""
    lines = [
        f"| {words} | {_meaning('watch-events', watch)} | {_meaning('pristo-events', pristo)} |"
        for words, watch, pristo in _ROWS
    ]
    return "\n".join(["| what came back | Watch | Pristo |", "|---|---|---|", *lines])


def _meaning(name: str, answers: _Answers) -> str:
    asked = destination(name)
    flows = {asked.verdict(answer, asked.batch_size).flow for answer in answers}
    if len(flows) > 1:
        raise ValueError(f"one line of the table for several meanings: {flows}")
    return next((_WORDS[flow] for flow in flows), "")
