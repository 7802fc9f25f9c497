"""What a destination makes of each kind of answer, as a table to read over."""

from __future__ import annotations

from backfill.destination import Destination, Fault, Flow, Reply

__all__ = ["verdict_table"]

_STATUSES = (
    *(100, 200, 201, 202, 204, 301, 302, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410),
    *(413, 415, 422, 425, 429, 451, 500, 501, 502, 503, 504, 507, 599),
)

_MEANINGS = {
    Flow.DELIVERED: "delivered",
    Flow.FAILED: "failed",
    Flow.ISOLATE: "the bad records are found and failed, the others sent again",
    Flow.SPLIT: "sent again in halves; a single record is failed",
    Flow.AGAIN: "sent again later",
    Flow.AMBIGUOUS: "unknown; sent again under at-least-once",
    Flow.UNKNOWN: "unknown",
    Flow.STOP: "the run stops; the records stay pending",
}


def verdict_table(destination: Destination) -> str:
    """One line for each thing that can become of a full batch, in Markdown, with its answers.

    These are the documented success, statuses with an empty body, errors in the destination's own
    words, and what happens without a reply.
    """
    size = destination.batch_size
    said: list[tuple[str, Reply | Fault]] = [
        ("the documented success", destination.success(size)),
        *((str(status), Reply(status)) for status in _STATUSES),
        *(
            (f"{status} in the destination's own words", Reply(status, body=own))
            for status in (400, 503)
            for own in [destination.error(status, "no")]
        ),
        *((f"no reply: {fault.value.replace('_', ' ')}", fault) for fault in Fault),
    ]
    answers: dict[Flow, list[str]] = {}
    for words, reply in said:
        answers.setdefault(destination.verdict(reply, size).flow, []).append(words)
    lines = ["| what becomes of the records | what came back |", "|---|---|"]
    lines += [f"| {_MEANINGS[flow]} | {', '.join(answers[flow])} |" for flow in answers]
    return "\n".join(lines)
