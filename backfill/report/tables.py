"""The figures of every picture as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from backfill.model import State
from backfill.report.course import Course, percentile
from backfill.report.gather import EventTimes
from backfill.report.markup import Html, tag
from backfill.report.wording import amount, clock, milliseconds

__all__ = ["course_table", "replies_table", "table", "times_table"]

_READY = (State.DELIVERED, State.UNKNOWN, State.FAILED, State.PENDING)


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    wrap: Collection[int] = (),
) -> Html:
    """A table whose first column names its rows.

    The columns in `numbers` are set to the right, those in `wrap` may break their lines
    anywhere. On a phone each row becomes a block, in which every cell repeats its heading.
    """
    kinds = [
        "number" if each in numbers else "wrap" if each in wrap else None
        for each in range(len(heads))
    ]
    head = [
        tag("th", text, scope="col", class_=kind) for text, kind in zip(heads, kinds, strict=True)
    ]
    body = [
        tag(
            "tr",
            [
                tag(
                    "td" if number else "th",
                    cell,
                    scope=None if number else "row",
                    class_=kinds[number],
                )
                for number, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", head)),
        tag("tbody", body),
    )


def course_table(course: Course) -> Html:
    """What happened in each slice of time."""
    rows = []
    for each in course.bins:
        times = [percentile(each.latency, share) for share in (0.5, 0.9, 0.99)]
        counts = (
            each.delivered, each.failed, each.unknown, each.sent, each.throttled, each.retried
        )  # fmt: skip
        rows.append(
            [
                clock(each.start),
                f"{each.seconds:,} s",
                *(amount(count) for count in counts),
                *("-" if value is None else milliseconds(value) for value in times),
            ]
        )
    heads = (
        "From", "For", "Delivered", "Failed", "Unknown", "Requests", "Throttled", "Again",
        "p50", "p90", "p99",
    )  # fmt: skip
    return table("Over time", heads, rows, numbers=range(1, len(heads)))


def replies_table(latency: Mapping[int, int]) -> Html:
    """How many replies took how long."""
    rows = [
        (
            f"{milliseconds(2 ** (slot / 2)) if slot else '0 ms'} to"
            f" {milliseconds(2 ** ((slot + 1) / 2))}",
            amount(replies),
        )
        for slot, replies in sorted(latency.items())
        if replies
    ]
    return table("Replies by how long they took", ("Time", "Replies"), rows, numbers={1})


def times_table(times: EventTimes) -> Html:
    """How many ready records of each unit of time are in each state."""
    form = "%Y-%m-%d %H:%M" if times.unit == "hour" else "%Y-%m-%d"
    rows = [
        [f"{start:{form}}", *(amount(parts.get(state, 0)) for state in _READY)]
        for start, parts in (times.counts or {}).items()
    ]
    heads = (f"{times.unit.capitalize()} from", *(state.value.capitalize() for state in _READY))
    return table(f"Records by {times.unit}", heads, rows, numbers=range(1, len(heads)))
